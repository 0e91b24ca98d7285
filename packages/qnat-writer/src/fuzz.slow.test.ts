// The fuzzing of `fuzz.test.ts` at length.
import { expect, it } from 'vitest';
import { fuzzSeed, runFuzz } from './testing/fuzz';

it('100 000 files that chance made wrong are read or refused', async () => {
  const seed = fuzzSeed();
  console.log(`fuzzing QNAT: seed ${seed} (QLORA_FUZZ_SEED=${seed} repeats it)`);
  const { verdicts, mostDecoded } = await runFuzz(seed, 100_000);
  const lines = [...verdicts].sort(([, a], [, b]) => b - a).map(([verdict, count]) => `${count} ${verdict}`);
  console.log(`${lines.join('\n')}\nat most ${mostDecoded.toFixed(2)} times the file's size came out of it`);
  expect([...verdicts.values()].reduce((a, b) => a + b, 0)).toBe(100_000);
  expect(verdicts.size).toBeGreaterThan(45);
});
