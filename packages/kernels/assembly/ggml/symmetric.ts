// The scale of values about zero, for four groups at a time: ggml's make_qx_quants with rmse_type 1. The plain twin, with all
// that is to say of it, is fit-symmetric.ts in @qlora/ggml-blocks.
import { MAGIC, roundedIn } from './nearest';

/** What {@link fitSymmetric} finds, four lanes each: the scale, and what gives the codes. */
// @ts-ignore: decorator
@inline export const SCALE: usize = 0;
/** A value's code is `half` more than the integer nearest to value · inverse. */
// @ts-ignore: decorator
@inline export const INVERSE: usize = 64;

/** Below this, a group counts as all zero: its scale and inverse are 0. */
// @ts-ignore: decorator
@inline export const ZERO: f32 = 1e-15;

/**
 * @param values `count` vectors, transposed; @param weights theirs; @param products weights times values
 * @param out where {@link SCALE} and {@link INVERSE} of these groups are to lie
 */
export function fitSymmetric(
  values: usize, weights: usize, products: usize, count: i32, half: f32, out: usize,
): void {
  const bytes = <usize>count << 4;
  const zero = f32x4.splat(0);
  const magic = f32x4.splat(MAGIC);
  const low = f32x4.splat(-half);
  const high = f32x4.splat(half - 1);
  let peak = zero;
  let largest = zero;
  for (let i: usize = 0; i < bytes; i += 16) {
    const value = v128.load(values + i);
    const magnitude = f32x4.abs(value);
    const larger = f32x4.gt(magnitude, peak);
    peak = v128.bitselect(magnitude, peak, larger);
    largest = v128.bitselect(value, largest, larger);
  }
  let best = zero;
  let scale = zero;
  let bestInverse = zero;
  for (let step = -10; step <= 9; step++) {
    // The first try, whose scale is taken in any case, is that without a shift.
    const first = step == -10;
    if (step == 0) continue;
    const inverse = f32x4.div(f32x4.splat(-(half + (first ? <f32>0 : <f32>0.1 * <f32>step))), largest);
    let sumOfProducts = zero;
    let sumOfSquares = zero;
    for (let i: usize = 0; i < bytes; i += 16) {
      const code = roundedIn(f32x4.mul(inverse, v128.load(values + i)), magic, low, high);
      sumOfProducts = f32x4.add(sumOfProducts, f32x4.mul(v128.load(products + i), code));
      sumOfSquares = f32x4.add(sumOfSquares, f32x4.mul(f32x4.mul(v128.load(weights + i), code), code));
    }
    const quotient = f32x4.div(sumOfProducts, sumOfSquares);
    if (first) {
      scale = v128.and(quotient, f32x4.ne(sumOfSquares, zero));
      best = f32x4.mul(scale, sumOfProducts);
      bestInverse = inverse;
      continue;
    }
    const better = v128.and(
      f32x4.gt(sumOfSquares, zero),
      f32x4.gt(f32x4.mul(sumOfProducts, sumOfProducts), f32x4.mul(best, sumOfSquares)),
    );
    if (!v128.any_true(better)) continue;
    scale = v128.bitselect(quotient, scale, better);
    best = v128.bitselect(f32x4.mul(quotient, sumOfProducts), best, better);
    bestInverse = v128.bitselect(inverse, bestInverse, better);
  }
  const some = f32x4.ge(peak, f32x4.splat(ZERO));
  v128.store(out + SCALE, v128.and(scale, some));
  v128.store(out + INVERSE, v128.and(bestInverse, some));
}
