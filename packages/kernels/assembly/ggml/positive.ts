// The scale and codes of a super-block's scales: ggml's make_qp_quants. The plain twin is fit-positive.ts in
// @qlora/ggml-blocks.
import { nearest } from './nearest';

const ZERO: f32 = 1e-15;

/** Scale of `count` f32 values; a byte of code each, from 0 to `top`, goes to `codes`. A weight a value. */
export function fitPositive(top: i32, values: usize, codes: usize, weights: usize, count: i32): f32 {
  let max: f32 = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const value = load<f32>(values + (i << 2));
    if (!(max > value)) max = value;
  }
  if (max < ZERO) {
    memory.fill(codes, 0, count);
    return 0;
  }
  let inverse = <f32>top / max;
  const first = <f32>1 / inverse;
  let least: f32 = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const value = load<f32>(values + (i << 2));
    const error = value - first * <f32>(nearest(inverse * value) & 255);
    least += load<f32>(weights + (i << 2)) * error * error;
  }
  for (let step = -4; step <= 4; step++) {
    if (step == 0) continue;
    const trial = (<f32>0.1 * <f32>step + <f32>top) / max;
    const scale = <f32>1 / trial;
    let sum: f32 = 0;
    for (let i: usize = 0; i < <usize>count; i++) {
      const value = load<f32>(values + (i << 2));
      const error = value - scale * <f32>min(top, nearest(trial * value));
      sum += load<f32>(weights + (i << 2)) * error * error;
    }
    if (sum < least) {
      least = sum;
      inverse = trial;
    }
  }
  let sumOfProducts: f32 = 0;
  let sumOfSquares: f32 = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const value = load<f32>(values + (i << 2));
    const weight = load<f32>(weights + (i << 2));
    const code = min(top, nearest(inverse * value));
    store<u8>(codes + i, code);
    sumOfProducts += weight * value * <f32>code;
    sumOfSquares += weight * <f32>code * <f32>code;
  }
  for (let turn = 0; turn < 5; turn++) {
    let changed = false;
    for (let i: usize = 0; i < <usize>count; i++) {
      const value = load<f32>(values + (i << 2));
      const weight = load<f32>(weights + (i << 2));
      const old = <i32>load<u8>(codes + i);
      let products = sumOfProducts - weight * value * <f32>old;
      let squares = sumOfSquares - weight * <f32>old * <f32>old;
      if (!(products > 0 && squares > 0)) continue;
      const code = min(top, nearest((value * squares) / products));
      if (code == old) continue;
      products += weight * value * <f32>code;
      squares += weight * <f32>code * <f32>code;
      if (products * products * sumOfSquares > sumOfProducts * sumOfProducts * squares) {
        store<u8>(codes + i, code);
        sumOfProducts = products;
        sumOfSquares = squares;
        changed = true;
      }
    }
    if (!changed) break;
  }
  return sumOfSquares > 0 ? sumOfProducts / sumOfSquares : 0;
}
