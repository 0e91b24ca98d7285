// Valid files made wrong at random: whatever the bytes, they are read or refused by a rule. `fuzz.slow.test.ts` runs more of it.
import { expect, it } from 'vitest';
import { fuzzSeed, runFuzz } from './testing/fuzz';

it('20 000 files that chance made wrong are read or refused', async () => {
  const seed = fuzzSeed();
  console.log(`fuzzing GGUF: seed ${seed} (QLORA_FUZZ_SEED=${seed} repeats it)`);
  const { verdicts, mostRead } = await runFuzz(seed, 20_000);
  expect([...verdicts.values()].reduce((a, b) => a + b, 0)).toBe(20_000);
  // Chance that reaches few rules tests few.
  expect(verdicts.size).toBeGreaterThan(25);
  // The header once, or once a piece, and every tensor twice.
  expect(mostRead).toBeLessThanOrEqual(4);
});
