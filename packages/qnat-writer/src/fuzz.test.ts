// Real files made wrong at random, ours and the crate's: whatever the bytes, they are read or refused by a rule.
// `fuzz.slow.test.ts` runs more of it.
import { fuzzSeed } from '@qlora-tooling/fuzz';
import { expect, it } from 'vitest';
import { runFuzz } from './testing/fuzz';

it('10 000 files that chance made wrong are read or refused', async () => {
  const seed = fuzzSeed('QNAT');
  const { verdicts } = await runFuzz(seed, 10_000);
  expect([...verdicts.values()].reduce((a, b) => a + b, 0)).toBe(10_000);
  // Chance that reaches few rules tests few.
  expect(verdicts.size).toBeGreaterThan(35);
  expect(verdicts.get('accepted')).toBeGreaterThan(500);
});
