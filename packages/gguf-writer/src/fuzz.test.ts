// Valid files made wrong at random: whatever the bytes, they are read or refused by a rule. `fuzz.slow.test.ts` runs more of it.
import { fuzzSeed } from '@qlora-tooling/fuzz';
import { expect, it } from 'vitest';
import { runFuzz } from './testing/fuzz';

it('20 000 files that chance made wrong are read or refused', async () => {
  const seed = fuzzSeed('GGUF');
  const { verdicts, most } = await runFuzz(seed, 20_000);
  expect([...verdicts.values()].reduce((a, b) => a + b, 0)).toBe(20_000);
  // Chance that reaches few rules tests few.
  expect(verdicts.size).toBeGreaterThan(25);
  // The header once, or once a piece, and every tensor twice.
  expect(most.read).toBeLessThanOrEqual(4);
});
