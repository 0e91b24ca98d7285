// Real files made wrong at random: whatever the bytes, they are read or refused by a rule.
// `fuzz.slow.test.ts` runs more of it.
import { expect, it } from 'vitest';
import { fuzzSeed, runFuzz } from './testing/fuzz';

it('5 000 files and indexes that chance made wrong are read or refused', async () => {
  const seed = fuzzSeed();
  console.log(`fuzzing safetensors: seed ${seed} (QLORA_FUZZ_SEED=${seed} repeats it)`);
  const { verdicts } = await runFuzz(seed, 5000);
  expect([...verdicts.values()].reduce((a, b) => a + b, 0)).toBe(5000);
  // Chance that reaches few rules tests few.
  expect(verdicts.size).toBeGreaterThan(15);
});
