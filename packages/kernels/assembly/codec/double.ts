// Double quantization: scales to 8-bit codes and back, in the arithmetic of @qlora/double-quant.
import { peak32 } from './absmax';

/**
 * Codes and nested scales of `blocks` blocks of `blockSize` scales, a multiple of 16. The scales are overwritten with their
 * distances from `offset`.
 *
 * @param bins the code of each of 65536 bins of [-1, 1].
 */
export function encodeDouble(
  scales: usize, codes: usize, nested: usize, blocks: i32, blockSize: i32, offset: f32, bins: usize,
): void {
  const bytes = <usize>blockSize << 2;
  for (const end = scales + <usize>blocks * bytes; scales < end; nested += 4) {
    for (let i: usize = 0; i < bytes; i += 16) {
      v128.store(scales + i, f32x4.sub(v128.load(scales + i), f32x4.splat(offset)));
    }
    const peak = peak32(scales, bytes);
    store<u32>(nested, peak);
    const reciprocal = f32x4.splat(peak == 0 ? 0 : <f32>1 / reinterpret<f32>(peak));
    for (const last = scales + bytes; scales < last; scales += 16, codes += 4) {
      const product = f32x4.mul(v128.load(scales), reciprocal);
      const bin = binsOf(f32x4.pmin(f32x4.splat(1), f32x4.pmax(f32x4.splat(-1), product)));
      let code =
        <u32>load<u8>(bins + i32x4.extract_lane(bin, 0)) |
        (<u32>load<u8>(bins + i32x4.extract_lane(bin, 1)) << 8) |
        (<u32>load<u8>(bins + i32x4.extract_lane(bin, 2)) << 16) |
        (<u32>load<u8>(bins + i32x4.extract_lane(bin, 3)) << 24);
      if (peak >= 0x7f800000) code &= codesOfNumbers(product);
      store<u32>(codes, peak == 0 ? 0 : code);
    }
  }
}

/** (v + 1) / 2 · 65535 + 0.5 as an integer; the product and the sum are rounded to f32 once, together. */
// @ts-ignore: decorator
@inline function binsOf(v: v128): v128 {
  const one = f32x4.add(v, f32x4.splat(1));
  const upper = i32x4.shuffle(one, one, 2, 3, 2, 3);
  const first = f32x4.demote_f64x2_zero(binsOf2(one));
  const second = f32x4.demote_f64x2_zero(binsOf2(upper));
  return i32x4.trunc_sat_f32x4_s(i32x4.shuffle(first, second, 0, 1, 4, 5));
}

// @ts-ignore: decorator
@inline function binsOf2(one: v128): v128 {
  const half = f64x2.mul(f64x2.promote_low_f32x4(one), f64x2.splat(0.5));
  return f64x2.add(f64x2.mul(half, f64x2.splat(65535)), f64x2.splat(0.5));
}

/** Ones in the bytes of numbers, zeros in those of NaN (an infinite distance times zero): NaN has the code 0. */
function codesOfNumbers(product: v128): u32 {
  const number = f32x4.eq(product, product);
  const words = i16x8.narrow_i32x4_s(number, number);
  return i32x4.extract_lane(i8x16.narrow_i16x8_s(words, words), 0);
}

/** Scales of `count` codes, a multiple of 4: map[code] × nested scale + offset. `blockSize` is a multiple of 4. */
export function decodeDouble(
  codes: usize, nested: usize, scales: usize, count: i32, blockSize: i32, offset: f32, map: usize,
): void {
  const shift = f32x4.splat(offset);
  for (const end = codes + <usize>count; codes < end; nested += 4) {
    const scale = v128.load32_splat(nested);
    const last = min(codes + <usize>blockSize, end);
    for (; codes < last; codes += 4, scales += 16) {
      let v = v128.load32_zero(map + (<usize>load<u8>(codes) << 2));
      v = v128.load32_lane(map + (<usize>load<u8>(codes, 1) << 2), v, 1);
      v = v128.load32_lane(map + (<usize>load<u8>(codes, 2) << 2), v, 2);
      v = v128.load32_lane(map + (<usize>load<u8>(codes, 3) << 2), v, 3);
      v128.store(scales, f32x4.add(f32x4.mul(v, scale), shift));
    }
  }
}
