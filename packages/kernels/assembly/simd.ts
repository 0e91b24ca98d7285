// What every kernel builds on: multiply-add, horizontal sums, transposition. The one place that knows whether the build
// has relaxed SIMD: there a multiply-add is fused (rounded once), elsewhere it is a product and a sum.

/** a · b + c in four lanes. */
// @ts-ignore: decorator
@inline export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Bytes of `table` by indices below 16. */
// @ts-ignore: decorator
@inline export function lookup(table: v128, indices: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, indices);
  return i8x16.swizzle(table, indices);
}

/** First halves of a and b, interleaved by 32-bit lanes. */
// @ts-ignore: decorator
@inline export function low32(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 0, 4, 1, 5);
}

/** Second halves of a and b, interleaved by 32-bit lanes. */
// @ts-ignore: decorator
@inline export function high32(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 2, 6, 3, 7);
}

/** First halves of a and b, interleaved by 64-bit lanes. */
// @ts-ignore: decorator
@inline export function low64(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 0, 1, 4, 5);
}

/** Second halves of a and b, interleaved by 64-bit lanes. */
// @ts-ignore: decorator
@inline export function high64(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 2, 3, 6, 7);
}

/** (lane 0 + lane 2) + (lane 1 + lane 3): the order of {@link sums4}. */
// @ts-ignore: decorator
@inline export function sumLanes(v: v128): f32 {
  const half = f32x4.add(v, i32x4.shuffle(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(half, 0) + f32x4.extract_lane(half, 1);
}

/** The sums of the lanes of each of four vectors, in one vector. */
// @ts-ignore: decorator
@inline export function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(low32(a, b), high32(a, b));
  const cd = f32x4.add(low32(c, d), high32(c, d));
  return f32x4.add(low64(ab, cd), high64(ab, cd));
}
