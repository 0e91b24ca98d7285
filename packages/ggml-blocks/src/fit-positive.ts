// The scale and codes of a super-block's scales, which are not negative: ggml's make_qp_quants (ggml/src/ggml-quants.c,
// llama.cpp v0.5.0). It tries nine scales, then moves single codes while that makes the weighted error less.
//
// Odd: all is f32, rounded after every operation. Codes are bytes: a value that is negative after all wraps around, as it
// does in ggml.
import { ZERO } from './fit-symmetric';
import { nearestInt } from './nearest';

const { fround } = Math;
const tenth = fround(0.1);

/** Scale of `values`, whose codes from 0 to `top` go to `codes`: a code stands for code · scale. One weight a value. */
export function fitPositive(
  top: number,
  values: Float32Array,
  codes: Uint8Array,
  weights: Float32Array,
): number {
  const count = values.length;
  let max = 0;
  for (const value of values) max = Math.max(max, value);
  if (max < ZERO) {
    codes.fill(0);
    return 0;
  }
  let inverse = fround(top / max);
  const first = fround(1 / inverse);
  let least = 0;
  for (let i = 0; i < count; i++) {
    codes[i] = nearestInt(fround(inverse * values[i]!));
    least = fround(least + errorOf(codes[i]!, first, values[i]!, weights[i]!));
  }
  for (let step = -4; step <= 4; step++) {
    if (step === 0) continue;
    const trial = fround(fround(fround(tenth * step) + top) / max);
    const scale = fround(1 / trial);
    let error = 0;
    for (let i = 0; i < count; i++) {
      const code = Math.min(top, nearestInt(fround(trial * values[i]!)));
      error = fround(error + errorOf(code, scale, values[i]!, weights[i]!));
    }
    if (error < least) {
      least = error;
      inverse = trial;
    }
  }
  let sumOfProducts = 0;
  let sumOfSquares = 0;
  for (let i = 0; i < count; i++) {
    const code = Math.min(top, nearestInt(fround(inverse * values[i]!)));
    codes[i] = code;
    sumOfProducts = fround(sumOfProducts + fround(fround(weights[i]! * values[i]!) * code));
    sumOfSquares = fround(sumOfSquares + fround(fround(weights[i]! * code) * code));
  }
  for (let turn = 0; turn < 5; turn++) {
    let changed = false;
    for (let i = 0; i < count; i++) {
      const weighted = fround(weights[i]! * values[i]!);
      const weight = weights[i]!;
      const old = codes[i]!;
      let products = fround(sumOfProducts - fround(weighted * old));
      let squares = fround(sumOfSquares - fround(fround(weight * old) * old));
      if (!(products > 0 && squares > 0)) continue;
      const code = Math.min(top, nearestInt(fround(fround(values[i]! * squares) / products)));
      if (code === old) continue;
      products = fround(products + fround(weighted * code));
      squares = fround(squares + fround(fround(weight * code) * code));
      const better = fround(fround(products * products) * sumOfSquares);
      if (better > fround(fround(sumOfProducts * sumOfProducts) * squares)) {
        codes[i] = code;
        sumOfProducts = products;
        sumOfSquares = squares;
        changed = true;
      }
    }
    if (!changed) break;
  }
  return sumOfSquares > 0 ? fround(sumOfProducts / sumOfSquares) : 0;
}

function errorOf(code: number, scale: number, value: number, weight: number): number {
  const difference = fround(value - fround(scale * code));
  return fround(fround(weight * difference) * difference);
}
