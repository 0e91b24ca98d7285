// The scale and codes of Q3_K without an importance matrix: ggml's make_q3_quants (ggml/src/ggml-quants.c, llama.cpp
// v0.5.0). It begins with the scale that the largest value gives, and moves single codes while that makes the error less;
// each value weighs its square.
//
// Odd: all is f32, rounded after every operation and summed in order.
import { ZERO } from './fit-symmetric';
import { nearestIn } from './nearest';

const { fround } = Math;

/** Scale of the `count` values at `at`; codes from 0 to 2 · `half` − 1 go to `codes`. See fitSymmetric. */
export function fitQ3(
  count: number,
  half: number,
  values: Float32Array,
  at: number,
  codes: Int8Array,
  codesAt: number,
): number {
  let largest = 0;
  let peak = 0;
  for (let i = at; i < at + count; i++) {
    const magnitude = Math.abs(values[i]!);
    if (magnitude > peak) {
      peak = magnitude;
      largest = values[i]!;
    }
  }
  if (peak < ZERO) {
    codes.fill(0, codesAt, codesAt + count);
    return 0;
  }
  const inverse = fround(-half / largest);
  let sumOfProducts = 0;
  let sumOfSquares = 0;
  for (let i = 0; i < count; i++) {
    const value = values[at + i]!;
    const code = nearestIn(fround(inverse * value), -half, half - 1);
    codes[codesAt + i] = code;
    const weight = fround(value * value);
    sumOfProducts = fround(sumOfProducts + fround(fround(weight * value) * code));
    sumOfSquares = fround(sumOfSquares + fround(fround(weight * code) * code));
  }
  for (let turn = 0; turn < 5; turn++) {
    let changed = false;
    for (let i = 0; i < count; i++) {
      const value = values[at + i]!;
      const old = codes[codesAt + i]!;
      const weight = fround(value * value);
      const weighted = fround(weight * value);
      let products = fround(sumOfProducts - fround(weighted * old));
      if (!(products > 0)) continue;
      let squares = fround(sumOfSquares - fround(fround(weight * old) * old));
      const code = nearestIn(fround(fround(value * squares) / products), -half, half - 1);
      if (code === old) continue;
      products = fround(products + fround(weighted * code));
      squares = fround(squares + fround(fround(weight * code) * code));
      if (!(squares > 0)) continue;
      const better = fround(fround(products * products) * sumOfSquares);
      if (better > fround(fround(sumOfProducts * sumOfProducts) * squares)) {
        codes[codesAt + i] = code;
        sumOfProducts = products;
        sumOfSquares = squares;
        changed = true;
      }
    }
    if (!changed) break;
  }
  for (let i = codesAt; i < codesAt + count; i++) codes[i] = codes[i]! + half;
  return sumOfSquares > 0 ? fround(sumOfProducts / sumOfSquares) : 0;
}
