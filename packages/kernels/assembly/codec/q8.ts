// Q8_0 of ggml: blocks of 32 values, an f16 scale and 32 signed bytes, 34 bytes in all.
import { absmax } from './absmax';
import { narrowF16, widenF16 } from './half';

const VALUES: usize = 128; // bytes of the values of a block
const BLOCK: usize = 34;
const INFINITY: u32 = 0x7f800000;

// Loaded, for the reason that half.ts has.
const ROUND = memory.data<u32>([
  0x80000000, // sign
  0x3f000000, // 0.5
  0x3f800000, // 1
  0x4b400000, // 1.5 · 2^23: a sum with it has the integer in its lower bits
  0x42fe0000, // 127
  0x7fffffff, // magnitude
]);

/**
 * Bytes of `blocks` blocks.
 *
 * @param scales room for an f32 a block; @param halves room for an f16 a block; both for four blocks more.
 */
export function encodeQ8(values: usize, bytes: usize, blocks: i32, scales: usize, halves: usize): void {
  absmax(values, scales, blocks, 32);
  const last = v128.load32_splat(ROUND, 16);
  // A NaN is written as the positive one, whatever the division makes of it.
  const magnitude = v128.load32_splat(ROUND, 20);
  for (let scale = scales, end = scales + (<usize>blocks << 2); scale < end; scale += 16) {
    v128.store(scale, v128.and(f32x4.div(v128.load(scale), last), magnitude));
  }
  narrowF16(scales, halves, blocks);
  const sign = v128.load32_splat(ROUND);
  const half = v128.load32_splat(ROUND, 4);
  const one = v128.load32_splat(ROUND, 8);
  const shift = v128.load32_splat(ROUND, 12);
  for (const end = scales + (<usize>blocks << 2); scales < end; scales += 4, halves += 2, bytes += BLOCK) {
    store<u16>(bytes, load<u16>(halves));
    const scale = load<f32>(scales);
    let inverse: f32 = scale == 0 ? 0 : <f32>1 / scale;
    // NaN, infinity, and magnitudes below 2^-121: all products are NaN or infinite, and their codes 0.
    const known = reinterpret<u32>(scale) < INFINITY && inverse < Infinity;
    const factor = f32x4.splat(inverse);
    for (let i: usize = 0; i < 32; i += 16, values += 64) {
      const codes = i8x16.narrow_i16x8_s(
        i16x8.narrow_i32x4_s(rounded(values, factor, sign, half, one, shift), rounded(values + 16, factor, sign, half, one, shift)),
        i16x8.narrow_i32x4_s(rounded(values + 32, factor, sign, half, one, shift), rounded(values + 48, factor, sign, half, one, shift)),
      );
      v128.store(bytes + i, known ? codes : i8x16.splat(0), 2);
    }
  }
}

/** Four products as integers, halves away from zero. */
// @ts-ignore: decorator
@inline function rounded(values: usize, factor: v128, sign: v128, half: v128, one: v128, shift: v128): v128 {
  const product = f32x4.mul(v128.load(values), factor);
  const whole = f32x4.trunc(product);
  const rest = f32x4.sub(product, whole); // exact, with the sign of the product
  const ones = v128.or(v128.and(product, sign), one);
  const away = v128.and(f32x4.ge(v128.andnot(rest, sign), half), ones);
  return i32x4.sub(f32x4.add(f32x4.add(whole, away), shift), shift);
}

/** Values of `blocks` blocks; scales and halves as for {@link encodeQ8}. */
export function decodeQ8(bytes: usize, values: usize, blocks: i32, scales: usize, halves: usize): void {
  for (let i = 0; i < blocks; i++) {
    store<u16>(halves + (<usize>i << 1), load<u16>(bytes + <usize>i * BLOCK));
  }
  widenF16(halves, scales, blocks);
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += BLOCK, scales += 4) {
    const scale = v128.load32_splat(scales);
    for (let i: usize = 2; i < 34; i += 8, values += 32) {
      const codes = v128.load8x8_s(bytes + i);
      const low = f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(codes));
      const high = f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(codes));
      v128.store(values, f32x4.mul(low, scale));
      v128.store(values, f32x4.mul(high, scale), 16);
    }
  }
}
