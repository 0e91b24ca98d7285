// Decoding of packed 4-bit codes, 32 values at a time. Bytes of the 16 codebook values lie in four planes (all lowest
// bytes, all second bytes, …), so that a byte shuffle is a table look-up of 16 codes at once; interleaving the four
// results gives the f32 values.
import { lookup } from './simd';

/** A codebook in memory: 16 f32 values, then the four planes of their bytes. Written by the host. */
// @ts-ignore: decorator
@inline export const PLANES: usize = 64;

/** Bytes of a codebook in memory. */
// @ts-ignore: decorator
@inline export const CODEBOOK_BYTES: usize = 128;

/** Sixteen codes (a byte each) to f32, times `scale`, plus `shift`, to `out`. */
// @ts-ignore: decorator
@inline function decode16(
  codes: v128, p0: v128, p1: v128, p2: v128, p3: v128, scale: v128, out: usize,
): void {
  const b0 = lookup(p0, codes);
  const b1 = lookup(p1, codes);
  const b2 = lookup(p2, codes);
  const b3 = lookup(p3, codes);
  const low01 = i8x16.shuffle(b0, b1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const high01 = i8x16.shuffle(b0, b1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const low23 = i8x16.shuffle(b2, b3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const high23 = i8x16.shuffle(b2, b3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  v128.store(out, f32x4.mul(i16x8.shuffle(low01, low23, 0, 8, 1, 9, 2, 10, 3, 11), scale));
  v128.store(out, f32x4.mul(i16x8.shuffle(low01, low23, 4, 12, 5, 13, 6, 14, 7, 15), scale), 16);
  v128.store(out, f32x4.mul(i16x8.shuffle(high01, high23, 0, 8, 1, 9, 2, 10, 3, 11), scale), 32);
  v128.store(out, f32x4.mul(i16x8.shuffle(high01, high23, 4, 12, 5, 13, 6, 14, 7, 15), scale), 48);
}

/** 32 values of 16 bytes of codes (the first value in the high nibble), each times `scale`. */
// @ts-ignore: decorator
@inline export function decode32(
  codes: usize, p0: v128, p1: v128, p2: v128, p3: v128, scale: v128, out: usize,
): void {
  const packed = v128.load(codes);
  // By 16 bits: there is no shift of bytes on x86, and V8 makes the mask for one anew each time.
  const nibble = i8x16.splat(15);
  const high = v128.and(i16x8.shr_u(packed, 4), nibble);
  const low = v128.and(packed, nibble);
  decode16(
    i8x16.shuffle(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
    p0, p1, p2, p3, scale, out,
  );
  decode16(
    i8x16.shuffle(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31),
    p0, p1, p2, p3, scale, out + 64,
  );
}
