// Rounding to the nearest integer, ties to even, by adding 1.5 · 2^23: ggml's nearest_int. For magnitudes above 2^22, and
// infinity, it takes the lowest 23 bits of the sum as they come; NaN gives 0.

/** 1.5 · 2^23. */
// @ts-ignore: decorator
@inline export const MAGIC: f32 = 12582912;

/** The integer nearest to `value`. */
// @ts-ignore: decorator
@inline export function nearest(value: f32): i32 {
  return <i32>(reinterpret<u32>(value + MAGIC) & 0x7fffff) - 0x400000;
}

/** The integers nearest to four values, from `low` to `high`. */
// @ts-ignore: decorator
@inline export function nearestIn(values: v128, low: i32, high: i32): v128 {
  const sums = v128.and(f32x4.add(values, f32x4.splat(MAGIC)), i32x4.splat(0x7fffff));
  const integers = i32x4.sub(sums, i32x4.splat(0x400000));
  return i32x4.max_s(i32x4.min_s(integers, i32x4.splat(high)), i32x4.splat(low));
}

/** The same as f32, for values whose magnitude is below 2^22. */
// @ts-ignore: decorator
@inline export function roundedIn(values: v128, magic: v128, low: v128, high: v128): v128 {
  const rounded = f32x4.sub(f32x4.add(values, magic), magic);
  return f32x4.pmax(f32x4.pmin(rounded, high), low);
}
