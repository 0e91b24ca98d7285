// The fuzzing of `fuzz.test.ts` at length.
import { fuzzSeed, verdictLines } from '@qlora-tooling/fuzz';
import { expect, it } from 'vitest';
import { runFuzz } from './testing/fuzz';

it('100 000 files that chance made wrong are read or refused', async () => {
  const seed = fuzzSeed('QNAT');
  const result = await runFuzz(seed, 100_000);
  console.log(
    `${verdictLines(result)}\nat most ${result.most.decoded?.toFixed(2)} times the file's size came out of it`,
  );
  expect([...result.verdicts.values()].reduce((a, b) => a + b, 0)).toBe(100_000);
  expect(result.verdicts.size).toBeGreaterThan(45);
});
