// The scale, minimum and codes of values anywhere: ggml's make_qkx2_quants and make_qkx3_quants, which do the same once
// weights are given (ggml/src/ggml-quants.c, llama.cpp v0.5.0). They try a number of scales, find the best scale and
// minimum for the codes that each gives by weighted least squares, and keep what has the least error.
//
// Odd: all is f32, rounded after every operation and summed in order. A minimum that was kept changes the codes that the
// following scales give.
import { nearestIn } from './nearest';

const { fround } = Math;

/** What is tried, and how errors are measured. */
export interface AffineSearch {
  /** Largest code. */
  readonly top: number;
  /** The first scale tried has `top` + `from` steps in the range of the values, each further one `by` more. */
  readonly from: number;
  readonly by: number;
  /** The number of scales tried, less one. */
  readonly steps: number;
  /** Whether the error is the sum of magnitudes instead of that of squares. */
  readonly absolute?: boolean;
}

/** What {@link fitAffine} found besides codes: minus the minimum, which is never positive. */
export const affine = { minimum: 0 };

const trial = new Uint8Array(32);

/**
 * Scale of the `count` values at `at`, whose codes go to `codes` and minus whose minimum to {@link affine}.
 *
 * @param weights a weight a value, from 0 on; `count` is at most 32.
 * @returns the scale: a code stands for code · scale − affine.minimum.
 */
export function fitAffine(
  count: number,
  search: AffineSearch,
  values: Float32Array,
  at: number,
  weights: Float32Array,
  codes: Uint8Array,
  codesAt: number,
): number {
  const { top, steps, absolute } = search;
  let min = values[at]!;
  let max = min;
  let sumOfWeights = weights[0]!;
  let sumOfValues = fround(sumOfWeights * min);
  for (let i = 1; i < count; i++) {
    const value = values[at + i]!;
    if (value < min) min = value;
    if (value > max) max = value;
    const weight = weights[i]!;
    sumOfWeights = fround(sumOfWeights + weight);
    sumOfValues = fround(sumOfValues + fround(weight * value));
  }
  if (min > 0) min = 0;
  if (max === min) {
    codes.fill(0, codesAt, codesAt + count);
    affine.minimum = -min;
    return 0;
  }
  let inverse = fround(top / fround(max - min));
  let scale = fround(1 / inverse);
  let least = 0;
  for (let i = 0; i < count; i++) {
    const value = values[at + i]!;
    const code = nearestIn(fround(inverse * fround(value - min)), 0, top);
    codes[codesAt + i] = code;
    least = fround(least + fround(weights[i]! * errorOf(code, scale, min, value, absolute)));
  }
  const from = fround(search.from);
  const by = fround(search.by);
  for (let step = 0; step <= steps; step++) {
    inverse = fround(fround(fround(from + fround(by * step)) + top) / fround(max - min));
    let sumOfCodes = 0;
    let sumOfSquares = 0;
    let sumOfProducts = 0;
    for (let i = 0; i < count; i++) {
      const value = values[at + i]!;
      const code = nearestIn(fround(inverse * fround(value - min)), 0, top);
      trial[i] = code;
      const weighted = fround(weights[i]! * code);
      sumOfCodes = fround(sumOfCodes + weighted);
      sumOfSquares = fround(sumOfSquares + fround(weighted * code));
      sumOfProducts = fround(sumOfProducts + fround(weighted * value));
    }
    const determinant = fround(fround(sumOfWeights * sumOfSquares) - fround(sumOfCodes * sumOfCodes));
    if (!(determinant > 0)) continue;
    let newScale = fround(
      fround(fround(sumOfWeights * sumOfProducts) - fround(sumOfValues * sumOfCodes)) / determinant,
    );
    let newMin = fround(
      fround(fround(sumOfSquares * sumOfValues) - fround(sumOfCodes * sumOfProducts)) / determinant,
    );
    if (newMin > 0) {
      newMin = 0;
      newScale = fround(sumOfProducts / sumOfSquares);
    }
    let error = 0;
    for (let i = 0; i < count; i++) {
      error = fround(
        error + fround(weights[i]! * errorOf(trial[i]!, newScale, newMin, values[at + i]!, absolute)),
      );
    }
    if (error < least) {
      for (let i = 0; i < count; i++) codes[codesAt + i] = trial[i]!;
      least = error;
      scale = newScale;
      min = newMin;
    }
  }
  affine.minimum = -min;
  return scale;
}

function errorOf(
  code: number,
  scale: number,
  min: number,
  value: number,
  absolute: boolean | undefined,
): number {
  const difference = fround(fround(fround(scale * code) + min) - value);
  return absolute ? Math.abs(difference) : fround(difference * difference);
}
