// The scale and codes of values about zero: ggml's make_qx_quants with rmse_type 1 (ggml/src/ggml-quants.c, llama.cpp
// v0.5.0). It tries scales around the one that the largest value gives and keeps the one of least weighted error.
//
// Odd: all is f32, rounded after every operation and summed in order; another order gives other bytes.
import { nearestIn } from './nearest';

/** Below this, a group counts as all zero (GROUP_MAX_EPS). */
export const ZERO = Math.fround(1e-15);

const { fround } = Math;
const tenth = fround(0.1);

/**
 * Scale of the `count` values at `at`; their codes, from 0 to 2 · `half` − 1 with `half` for zero, go to `codes`.
 *
 * @param weights a weight a value, from `weightsAt` on; without them a value's square is its weight.
 * @returns the scale: a code stands for (code − half) · scale. For values that are all zero it is 0, and codes are 0.
 */
export function fitSymmetric(
  count: number,
  half: number,
  values: Float32Array,
  at: number,
  codes: Uint8Array,
  codesAt: number,
  weights: Float32Array | undefined,
  weightsAt: number,
): number {
  let largest = 0;
  let peak = 0;
  for (let i = 0; i < count; i++) {
    const magnitude = Math.abs(values[at + i]!);
    if (magnitude > peak) {
      peak = magnitude;
      largest = values[at + i]!;
    }
  }
  if (peak < ZERO) {
    codes.fill(0, codesAt, codesAt + count);
    return 0;
  }
  let inverse = fround(-half / largest);
  let sumOfProducts = 0;
  let sumOfSquares = 0;
  for (let i = 0; i < count; i++) {
    const value = values[at + i]!;
    const code = nearestIn(fround(inverse * value), -half, half - 1);
    codes[codesAt + i] = code + half;
    const weight = weights ? weights[weightsAt + i]! : fround(value * value);
    sumOfProducts = fround(sumOfProducts + fround(fround(weight * value) * code));
    sumOfSquares = fround(sumOfSquares + fround(fround(weight * code) * code));
  }
  let scale = sumOfSquares !== 0 ? fround(sumOfProducts / sumOfSquares) : 0;
  let best = fround(scale * sumOfProducts);
  for (let step = -9; step <= 9; step++) {
    if (step === 0) continue;
    inverse = fround(-fround(half + fround(tenth * step)) / largest);
    sumOfProducts = 0;
    sumOfSquares = 0;
    for (let i = 0; i < count; i++) {
      const value = values[at + i]!;
      const code = nearestIn(fround(inverse * value), -half, half - 1);
      const weight = weights ? weights[weightsAt + i]! : fround(value * value);
      sumOfProducts = fround(sumOfProducts + fround(fround(weight * value) * code));
      sumOfSquares = fround(sumOfSquares + fround(fround(weight * code) * code));
    }
    if (sumOfSquares > 0 && fround(sumOfProducts * sumOfProducts) > fround(best * sumOfSquares)) {
      for (let i = 0; i < count; i++) {
        codes[codesAt + i] = half + nearestIn(fround(inverse * values[at + i]!), -half, half - 1);
      }
      scale = fround(sumOfProducts / sumOfSquares);
      best = fround(scale * sumOfProducts);
    }
  }
  return scale;
}
