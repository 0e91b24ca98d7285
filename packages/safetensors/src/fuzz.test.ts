// Real files made wrong at random: whatever the bytes, they are read or refused by a rule.
// `fuzz.slow.test.ts` runs more of it.
import { fuzzSeed } from '@qlora-tooling/fuzz';
import { expect, it } from 'vitest';
import { runFuzz } from './testing/fuzz';

it('5 000 files and indexes that chance made wrong are read or refused', async () => {
  const seed = fuzzSeed('safetensors');
  const { verdicts } = await runFuzz(seed, 5000);
  expect([...verdicts.values()].reduce((a, b) => a + b, 0)).toBe(5000);
  // Chance that reaches few rules tests few.
  expect(verdicts.size).toBeGreaterThan(15);
});
