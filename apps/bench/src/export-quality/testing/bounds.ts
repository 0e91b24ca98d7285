// What the tests hold runs to: how far a file may be from our 4-bit model with its adapter, and how far others must be.
import { expect } from 'vitest';
import { type GgufRow, referenceOf, type SubjectResult } from '../result';

/**
 * Most that a file whose weights are exact may be away: the f16 of weights that were decoded from 4 bits, merged, or with the
 * adapter at run time. In nats a token: of the cross entropy, and of the divergence.
 */
export const EXACT = { crossEntropy: 2e-4, divergence: 2e-5 } as const;

/** Most of the divergence of types that round the weights, in nats a token. */
export type TypeBounds = Readonly<Partial<Record<GgufRow['type'], number>>>;

/** Expects every row of the run on its side of the bounds. */
export function expectBounds(subject: SubjectResult, types: TypeBounds): void {
  const trained = referenceOf(subject).crossEntropy;
  const away = (row: { crossEntropy: number }) => Math.abs(row.crossEntropy - trained);
  const trainedAgainst = (row: GgufRow) => row.weights === 'four-bit' && row.adapter !== 'none';
  let bounded = 0;
  for (const row of subject.gguf.filter(trainedAgainst)) {
    const what = `${row.adapter}, ${row.type}`;
    const exact = row.type === 'f16' || row.type === 'f32';
    const most = exact ? EXACT.divergence : types[row.type];
    if (most === undefined) continue;
    bounded++;
    if (exact) expect(away(row), what).toBeLessThan(EXACT.crossEntropy);
    expect(row.divergence, what).toBeLessThan(most);
    if (exact) expect(row.agreement, what).toBeGreaterThan(0.99);
  }
  expect(bounded).toBeGreaterThanOrEqual(2 + Object.keys(types).length);

  // What the bounds are there to tell apart: the adapter left out, on other weights, or merged and rounded to 4 bits again.
  const others = subject.gguf.filter((row) => !trainedAgainst(row));
  expect(new Set(others.map(({ weights }) => weights)).size).toBe(3);
  for (const row of others) {
    const what = `${row.weights}, ${row.adapter}, ${row.type}`;
    expect(row.divergence, what).toBeGreaterThan(100 * EXACT.divergence);
    // On the original weights the loss may happen to be the same, though hardly any prediction is.
    if (row.weights !== 'original') expect(away(row), what).toBeGreaterThan(10 * EXACT.crossEntropy);
  }
}
