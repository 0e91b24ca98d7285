// 16-bit floats and f32, eight at a time, without tables. Rounding is to nearest, ties to even. Counts are rounded up to a
// multiple of eight: the memory behind must be there.
//
// Odd: constants come from memory. An immediate is built anew in every turn of a loop (in V8, by three instructions), what
// was loaded before the loop stays in a register or on the stack.

const WIDEN = memory.data<u16>([0x7fff, 0x7bff, 0x7c00, 0x0400, 0x3800, 0x0080, 0x3880, 0x8000, 0x7f80, 0x0040]);

/** f32 values of f16 bit patterns. Every NaN becomes the one that JavaScript writes. */
export function widenF16(bits: usize, values: usize, count: i32): void {
  const zero = i16x8.splat(0);
  const magnitudes = v128.load16_splat(WIDEN);
  const largest = v128.load16_splat(WIDEN, 2);
  const infinity = v128.load16_splat(WIDEN, 4);
  const leastNormal = v128.load16_splat(WIDEN, 6);
  const bias = v128.load16_splat(WIDEN, 8);
  const one = v128.load16_splat(WIDEN, 10);
  const leastExponent = v128.load16_splat(WIDEN, 12);
  const signs = v128.load16_splat(WIDEN, 14);
  const topExponent = v128.load16_splat(WIDEN, 16);
  const quiet = v128.load16_splat(WIDEN, 18);
  for (const end = bits + (<usize>count << 1); bits < end; bits += 16, values += 32) {
    const half = v128.load(bits);
    const magnitude = v128.and(half, magnitudes);
    const special = i16x8.gt_s(magnitude, largest); // infinity and NaN
    const nan = i16x8.gt_s(magnitude, infinity);
    const finite = v128.andnot(magnitude, special);
    // Zeros and denormals get the exponent of 2^-14, with the leading one that goes with it, and lose 2^-14 again.
    const small = i16x8.gt_s(leastNormal, finite);
    const exponent = i16x8.add(bias, v128.and(small, one));
    const high = i16x8.add(i16x8.shr_u(finite, 3), exponent);
    const low = i16x8.shl(finite, 13);
    const less = v128.and(small, leastExponent);
    // What is added last: the sign (a NaN has none), the exponent of infinity, the mark of NaN. A special value is 0 so far.
    const mark = v128.or(v128.and(special, topExponent), v128.and(nan, quiet));
    const top = v128.or(v128.andnot(v128.and(half, signs), nan), mark);
    const first = f32x4.sub(zipLow16(low, high), zipLow16(zero, less));
    const second = f32x4.sub(zipHigh16(low, high), zipHigh16(zero, less));
    v128.store(values, v128.or(first, zipLow16(zero, top)));
    v128.store(values, v128.or(second, zipHigh16(zero, top)), 16);
  }
}

const NARROW = memory.data<u32>([
  0x7fffffff, // magnitude
  0x47800000, // 65536
  0x00000001,
  0xc8000fff, // 0x0fff − 0x38000000: the exponents' bases are 112 apart, and what rounds up is added
  0x3f000000, // 0.5
  0x38800000, // 2^-14, the least normal f16
  0x7f800000, // infinity
  0x00000200, // the mark of NaN
  0x80008000, // two signs
]);

/** f16 bit patterns nearest to f32 values. */
export function narrowF16(values: usize, bits: usize, count: i32): void {
  const magnitude = v128.load32_splat(NARROW);
  const most = v128.load32_splat(NARROW, 4);
  const one = v128.load32_splat(NARROW, 8);
  const rebase = v128.load32_splat(NARROW, 12);
  const half = v128.load32_splat(NARROW, 16);
  const least = v128.load32_splat(NARROW, 20);
  const infinity = v128.load32_splat(NARROW, 24);
  const quiet = v128.load32_splat(NARROW, 28);
  const signs = v128.load32_splat(NARROW, 32);
  for (const end = values + (<usize>count << 2); values < end; values += 32, bits += 16) {
    const first = v128.load(values);
    const second = v128.load(values, 16);
    // Packing keeps the sign bit: negative numbers that do not fit become the least one.
    const sign = v128.and(i16x8.narrow_i32x4_s(first, second), signs);
    const packed = i16x8.narrow_i32x4_u(
      magnitudeF16(v128.and(first, magnitude), most, one, rebase, half, least, infinity, quiet),
      magnitudeF16(v128.and(second, magnitude), most, one, rebase, half, least, infinity, quiet),
    );
    v128.store(bits, v128.or(packed, sign));
  }
}

/** The f16 bit patterns of four magnitudes. */
// @ts-ignore: decorator
@inline function magnitudeF16(
  bits: v128, most: v128, one: v128, rebase: v128, half: v128, least: v128, infinity: v128, quiet: v128,
): v128 {
  // From 65536 on all is infinity; what lies below and rounds up to it does so by itself.
  const cut = i32x4.min_s(bits, most);
  const odd = v128.and(i32x4.shr_u(cut, 13), one);
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(cut, odd), rebase), 13);
  // Next to 0.5 the unit of f32 is 2^-24, that of f16's denormals.
  const denormal = i32x4.sub(f32x4.add(bits, half), half);
  const finite = v128.bitselect(denormal, normal, i32x4.gt_s(least, bits));
  return v128.or(finite, v128.and(i32x4.gt_s(bits, infinity), quiet));
}

/** f32 values of bf16 bit patterns: their upper halves. */
export function widenBf16(bits: usize, values: usize, count: i32): void {
  const zero = i16x8.splat(0);
  for (const end = bits + (<usize>count << 1); bits < end; bits += 16, values += 32) {
    const upper = v128.load(bits);
    v128.store(values, zipLow16(zero, upper));
    v128.store(values, zipHigh16(zero, upper), 16);
  }
}

const NARROW_BF16 = memory.data<u32>([0x7fffffff, 0x7f800000, 0x00007fff, 0x00000001, 0x00000040]);

/** bf16 bit patterns nearest to f32 values; a NaN is cut and made quiet. */
export function narrowBf16(values: usize, bits: usize, count: i32): void {
  const magnitude = v128.load32_splat(NARROW_BF16);
  const infinity = v128.load32_splat(NARROW_BF16, 4);
  const below = v128.load32_splat(NARROW_BF16, 8);
  const one = v128.load32_splat(NARROW_BF16, 12);
  const quiet = v128.load32_splat(NARROW_BF16, 16);
  for (const end = values + (<usize>count << 2); values < end; values += 32, bits += 16) {
    const first = upperHalf(v128.load(values), magnitude, infinity, below, one, quiet);
    const second = upperHalf(v128.load(values, 16), magnitude, infinity, below, one, quiet);
    v128.store(bits, i16x8.narrow_i32x4_u(first, second));
  }
}

// @ts-ignore: decorator
@inline function upperHalf(
  value: v128, magnitude: v128, infinity: v128, below: v128, one: v128, quiet: v128,
): v128 {
  const upper = i32x4.shr_u(value, 16);
  const odd = v128.and(upper, one);
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(value, odd), below), 16);
  const nan = i32x4.gt_s(v128.and(value, magnitude), infinity);
  return v128.bitselect(v128.or(upper, quiet), rounded, nan);
}

/** First halves of a and b, interleaved by 16-bit lanes. */
// @ts-ignore: decorator
@inline function zipLow16(a: v128, b: v128): v128 {
  return i16x8.shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

/** Second halves. */
// @ts-ignore: decorator
@inline function zipHigh16(a: v128, b: v128): v128 {
  return i16x8.shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
