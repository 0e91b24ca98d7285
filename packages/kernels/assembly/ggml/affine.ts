// The scale and minimum of values anywhere, for four groups at a time: ggml's make_qkx2_quants and make_qkx3_quants. The plain
// twin, with all that is to say of it, is fit-affine.ts in @qlora/ggml-blocks.
import { MAGIC, nearestIn, roundedIn } from './nearest';
import { TRIAL } from './places';

/** What {@link fitAffine} finds, four lanes each: scale, minus the minimum, and the two numbers that give the codes. */
// @ts-ignore: decorator
@inline export const SCALE: usize = 0;
// @ts-ignore: decorator
@inline export const MINIMUM: usize = 32;
/** A value's code is the integer nearest to (value − base) · inverse. */
// @ts-ignore: decorator
@inline export const INVERSE: usize = 64;
// @ts-ignore: decorator
@inline export const BASE: usize = 96;

// Products below this are rounded as nearestIn does it by f32 arithmetic too.
const SAFE: f32 = 4000000;

/**
 * @param values `count` vectors, transposed; @param weights theirs
 * @param top the largest code; @param from, @param by, @param steps see AffineSearch of the twin
 * @param out where {@link SCALE} and the others of these groups are to lie, 32 bytes apart
 */
export function fitAffine(
  values: usize, weights: usize, count: i32, top: i32, from: f32, by: f32, steps: i32, out: usize,
): void {
  const bytes = <usize>count << 4;
  const zero = f32x4.splat(0);
  const magic = f32x4.splat(MAGIC);
  const highest = f32x4.splat(<f32>top);
  let min = v128.load(values);
  let max = min;
  let sumOfWeights = v128.load(weights);
  let sumOfValues = f32x4.mul(sumOfWeights, min);
  for (let i: usize = 16; i < bytes; i += 16) {
    const value = v128.load(values + i);
    const weight = v128.load(weights + i);
    min = f32x4.pmin(min, value);
    max = f32x4.pmax(max, value);
    sumOfWeights = f32x4.add(sumOfWeights, weight);
    sumOfValues = f32x4.add(sumOfValues, f32x4.mul(weight, value));
  }
  const least = min;
  min = v128.andnot(min, f32x4.gt(min, zero));
  const flat = f32x4.eq(max, min);
  // A group of equal values has codes of 0 whatever is tried.
  let inverse = v128.andnot(f32x4.div(highest, f32x4.sub(max, min)), flat);
  let scale = v128.andnot(f32x4.div(f32x4.splat(1), inverse), flat);
  let base = min;
  let codesInverse = inverse;
  let best = zero;
  for (let i: usize = 0; i < bytes; i += 16) {
    const value = v128.load(values + i);
    const code = f32x4.convert_i32x4_s(nearestIn(f32x4.mul(inverse, f32x4.sub(value, min)), 0, top));
    const error = f32x4.sub(f32x4.add(f32x4.mul(scale, code), min), value);
    best = f32x4.add(best, f32x4.mul(v128.load(weights + i), f32x4.mul(error, error)));
  }
  for (let step = 0; step <= steps; step++) {
    inverse = f32x4.div(f32x4.splat(from + by * <f32>step + <f32>top), f32x4.sub(max, min));
    inverse = v128.andnot(inverse, flat);
    let sumOfCodes = zero;
    let sumOfSquares = zero;
    let sumOfProducts = zero;
    if (areSafe(inverse, min, least, max)) {
      for (let i: usize = 0; i < bytes; i += 16) {
        const value = v128.load(values + i);
        const code = roundedIn(f32x4.mul(inverse, f32x4.sub(value, min)), magic, zero, highest);
        v128.store(TRIAL + i, code);
        const weighted = f32x4.mul(v128.load(weights + i), code);
        sumOfCodes = f32x4.add(sumOfCodes, weighted);
        sumOfSquares = f32x4.add(sumOfSquares, f32x4.mul(weighted, code));
        sumOfProducts = f32x4.add(sumOfProducts, f32x4.mul(weighted, value));
      }
    } else {
      for (let i: usize = 0; i < bytes; i += 16) {
        const value = v128.load(values + i);
        const code = f32x4.convert_i32x4_s(nearestIn(f32x4.mul(inverse, f32x4.sub(value, min)), 0, top));
        v128.store(TRIAL + i, code);
        const weighted = f32x4.mul(v128.load(weights + i), code);
        sumOfCodes = f32x4.add(sumOfCodes, weighted);
        sumOfSquares = f32x4.add(sumOfSquares, f32x4.mul(weighted, code));
        sumOfProducts = f32x4.add(sumOfProducts, f32x4.mul(weighted, value));
      }
    }
    const determinant = f32x4.sub(
      f32x4.mul(sumOfWeights, sumOfSquares), f32x4.mul(sumOfCodes, sumOfCodes),
    );
    const solvable = f32x4.gt(determinant, zero);
    if (!v128.any_true(solvable)) continue;
    let newScale = f32x4.div(
      f32x4.sub(f32x4.mul(sumOfWeights, sumOfProducts), f32x4.mul(sumOfValues, sumOfCodes)), determinant,
    );
    let newMin = f32x4.div(
      f32x4.sub(f32x4.mul(sumOfSquares, sumOfValues), f32x4.mul(sumOfCodes, sumOfProducts)), determinant,
    );
    const positive = f32x4.gt(newMin, zero);
    newMin = v128.andnot(newMin, positive);
    newScale = v128.bitselect(f32x4.div(sumOfProducts, sumOfSquares), newScale, positive);
    let sum = zero;
    for (let i: usize = 0; i < bytes; i += 16) {
      const product = f32x4.mul(newScale, v128.load(TRIAL + i));
      const error = f32x4.sub(f32x4.add(product, newMin), v128.load(values + i));
      sum = f32x4.add(sum, f32x4.mul(v128.load(weights + i), f32x4.mul(error, error)));
    }
    const better = v128.and(solvable, f32x4.lt(sum, best));
    if (!v128.any_true(better)) continue;
    best = v128.bitselect(sum, best, better);
    scale = v128.bitselect(newScale, scale, better);
    codesInverse = v128.bitselect(inverse, codesInverse, better);
    base = v128.bitselect(min, base, better);
    min = v128.bitselect(newMin, min, better);
  }
  v128.store(out + SCALE, scale);
  v128.store(out + MINIMUM, f32x4.neg(min));
  v128.store(out + INVERSE, codesInverse);
  v128.store(out + BASE, base);
}

/** Whether all products lie well within ±2^22: the outermost do, and rounding keeps their order. */
// @ts-ignore: decorator
@inline function areSafe(inverse: v128, min: v128, least: v128, most: v128): bool {
  const low = f32x4.abs(f32x4.mul(inverse, f32x4.sub(least, min)));
  const high = f32x4.abs(f32x4.mul(inverse, f32x4.sub(most, min)));
  const limit = f32x4.splat(SAFE);
  return i32x4.all_true(v128.and(f32x4.lt(low, limit), f32x4.lt(high, limit)));
}
