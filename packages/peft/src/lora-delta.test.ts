import { random } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { loraDelta } from './lora-delta';

/** The definition: one value after the other, in f64, in the order of the rank. */
function plain(
  a: Float32Array,
  b: Float32Array,
  rank: number,
  inFeatures: number,
  scaling: number,
): Float32Array {
  const rows = b.length / rank;
  return Float32Array.from({ length: rows * inFeatures }, (_, at) => {
    const [row, column] = [Math.floor(at / inFeatures), at % inFeatures];
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += b[row * rank + r]! * a[r * inFeatures + column]!;
    return sum * scaling;
  });
}

describe('loraDelta', () => {
  it.each([
    [1, 1, 1],
    [3, 5, 2],
    [4, 8, 4],
    [7, 13, 5],
    [2, 3, 16],
    [0, 4, 2],
  ])(
    'of %d rows, %d columns and rank %d is B·A times the scaling, to the last bit',
    (rows, inFeatures, rank) => {
      const rng = random(rows * 100 + rank);
      const [a, b] = [rank * inFeatures, rows * rank].map((n) =>
        Float32Array.from({ length: n }, () => rng.normal()),
      );
      expect(loraDelta({ a: a!, b: b!, rank, inFeatures, scaling: 0.3 })).toEqual(
        plain(a!, b!, rank, inFeatures, 0.3),
      );
    },
  );
});
