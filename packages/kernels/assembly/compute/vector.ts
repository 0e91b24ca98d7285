// A single row times a 4-bit weight, as generating token by token needs it: decoding is most of the work, so decoding and
// product are one loop and no decoded value touches memory. Odd: x comes with each group of 32 values in another order,
// the even ones first, because that is how the two nibbles of 16 bytes of codes fall apart.
import { PLANES } from '../decode';
import { lookup, madd, sumLanes } from '../simd';
import { scaleOf } from './weight';

/** Each group of 32 values of `x` to `to`: the 16 at even places, then the 16 at odd ones. `begin` and `end` are groups. */
export function splitPairs(x: usize, to: usize, begin: i32, end: i32): void {
  for (let group = begin; group < end; group++) {
    const offset = <usize>group << 7;
    for (let i: usize = 0; i < 64; i += 16) {
      const a = v128.load(x + offset + 2 * i);
      const b = v128.load(x + offset + 2 * i, 16);
      v128.store(to + offset + i, i32x4.shuffle(a, b, 0, 2, 4, 6));
      v128.store(to + offset + i, i32x4.shuffle(a, b, 1, 3, 5, 7), 64);
    }
  }
}

/** The bytes of two planes by code, interleaved: the first eight codes, and the last eight. */
// @ts-ignore: decorator
@inline function firstPairs(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
// @ts-ignore: decorator
@inline function lastPairs(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
/** Four values out of the pairs of their low and high bytes: the first four of eight, and the last four. */
// @ts-ignore: decorator
@inline function firstValues(low: v128, high: v128): v128 {
  return i16x8.shuffle(low, high, 0, 8, 1, 9, 2, 10, 3, 11);
}
// @ts-ignore: decorator
@inline function lastValues(low: v128, high: v128): v128 {
  return i16x8.shuffle(low, high, 4, 12, 5, 13, 6, 14, 7, 15);
}

/**
 * out[outFeatures] = x · Wᵀ for one row, `x` as {@link splitPairs} gives it. For weights without zero points whose
 * inFeatures and block size are multiples of 32. `begin` and `end` are output features.
 */
export function quantizedVector(
  x: usize, weight: usize, out: usize, inFeatures: i32, begin: i32, end: i32,
): void {
  const codes = load<usize>(weight);
  const codebook = load<usize>(weight, 4);
  const blockSize = load<i32>(weight, 8);
  const p0 = v128.load(codebook + PLANES);
  const p1 = v128.load(codebook + PLANES, 16);
  const p2 = v128.load(codebook + PLANES, 32);
  const p3 = v128.load(codebook + PLANES, 48);
  const nibble = i8x16.splat(15);
  for (let row = begin; row < end; row++) {
    const start = <i64>row * inFeatures;
    let block = <i32>(start / blockSize);
    // Values up to the end of the block that the row begins in; blocks may run over row ends.
    let rest = <i32>(<i64>(block + 1) * blockSize - start);
    let at = codes + <usize>(start >> 1);
    let total = f32x4.splat(0);
    let from = x;
    let left = inFeatures;
    while (left > 0) {
      const run = min(rest, left);
      // Four sums, so that no multiply-add waits for the one before it.
      let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
      for (let i = 0; i < run; i += 32) {
        const packed = v128.load(at);
        let codes16 = i8x16.shr_u(packed, 4);
        let b0 = lookup(p0, codes16), b1 = lookup(p1, codes16), b2 = lookup(p2, codes16), b3 = lookup(p3, codes16);
        let low = firstPairs(b0, b1), high = firstPairs(b2, b3);
        s0 = madd(v128.load(from), firstValues(low, high), s0);
        s1 = madd(v128.load(from, 16), lastValues(low, high), s1);
        low = lastPairs(b0, b1);
        high = lastPairs(b2, b3);
        s2 = madd(v128.load(from, 32), firstValues(low, high), s2);
        s3 = madd(v128.load(from, 48), lastValues(low, high), s3);
        codes16 = v128.and(packed, nibble);
        b0 = lookup(p0, codes16);
        b1 = lookup(p1, codes16);
        b2 = lookup(p2, codes16);
        b3 = lookup(p3, codes16);
        low = firstPairs(b0, b1);
        high = firstPairs(b2, b3);
        s0 = madd(v128.load(from, 64), firstValues(low, high), s0);
        s1 = madd(v128.load(from, 80), lastValues(low, high), s1);
        low = lastPairs(b0, b1);
        high = lastPairs(b2, b3);
        s2 = madd(v128.load(from, 96), firstValues(low, high), s2);
        s3 = madd(v128.load(from, 112), lastValues(low, high), s3);
        at += 16;
        from += 128;
      }
      const sum = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
      total = madd(f32x4.splat(scaleOf(weight, block)), sum, total);
      left -= run;
      block++;
      rest = blockSize;
    }
    store<f32>(out + (<usize>row << 2), sumLanes(total));
  }
}
