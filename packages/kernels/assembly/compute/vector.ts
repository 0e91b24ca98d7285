// A single row times a 4-bit weight, as generating token by token needs it: decoding is most of the work, so decoding and
// product are one loop and no decoded value touches memory. Odd: x comes with each group of 32 values in another order,
// the even ones first, because that is how the two nibbles of 16 bytes of codes fall apart.
import { PLANES } from '../decode';
import { lookup, madd, sumLanes } from '../simd';
import { scratch, scratchBytes } from './scratch';
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

/** Where the scales of each group of 64 values of a row lie: as they are in the weight, or decoded to `to`. */
// @ts-ignore: decorator
@inline function scalesOfRow(weight: usize, start: i64, groups: i32, to: usize): usize {
  const blockSize = load<i32>(weight, 8);
  let block = <i32>(start / blockSize);
  if (blockSize == 64 && load<usize>(weight, 16) == 0) return load<usize>(weight, 12) + (<usize>block << 2);
  // Values up to the end of the block that the row begins in: blocks may run over row ends.
  let rest = <i32>(<i64>(block + 1) * blockSize - start);
  let scale = scaleOf(weight, block);
  for (let group = 0; group < groups; group++) {
    if (rest == 0) {
      scale = scaleOf(weight, ++block);
      rest = blockSize;
    }
    store<f32>(to + (<usize>group << 2), scale);
    rest -= 64;
  }
  return to;
}

/**
 * out[outFeatures] = x · Wᵀ for one row, `x` as {@link splitPairs} gives it. For weights without zero points whose
 * inFeatures and block size are multiples of 64 and whose inFeatures are at most {@link vectorLimit}. `begin` and `end` are
 * output features.
 *
 * Odd: it stores sums that nobody reads. Left alone, V8 loads all of x for a group at the start of a round and spills it to
 * the stack, which takes a quarter of the speed; loads do not move over a store.
 */
export function quantizedVector(
  x: usize, weight: usize, out: usize, inFeatures: i32, begin: i32, end: i32,
): void {
  const codes = load<usize>(weight);
  const codebook = load<usize>(weight, 4);
  const p0 = v128.load(codebook + PLANES);
  const p1 = v128.load(codebook + PLANES, 16);
  const p2 = v128.load(codebook + PLANES, 32);
  const p3 = v128.load(codebook + PLANES, 48);
  const unread = scratch();
  // From memory: V8 would make a constant anew in each round.
  v128.store(unread, i8x16.splat(15), 32);
  const nibble = v128.load(unread, 32);
  for (let row = begin; row < end; row++) {
    const start = <i64>row * inFeatures;
    let scale = scalesOfRow(weight, start, inFeatures >> 6, unread + 64);
    let at = codes + <usize>(start >> 1);
    const last = at + (inFeatures >> 1);
    let from = x;
    let total0 = f32x4.splat(0), total1 = total0;
    while (at < last) {
      let sixteen: v128, b0: v128, b1: v128, b2: v128, b3: v128, low: v128, high: v128;
      sixteen = v128.and(i16x8.shr_u(v128.load(at), 4), nibble);
      b0 = lookup(p0, sixteen);
      b1 = lookup(p1, sixteen);
      b2 = lookup(p2, sixteen);
      b3 = lookup(p3, sixteen);
      low = firstPairs(b0, b1);
      high = firstPairs(b2, b3);
      let s0 = f32x4.mul(v128.load(from), firstValues(low, high));
      let s1 = f32x4.mul(v128.load(from, 16), lastValues(low, high));
      v128.store(unread, s0);
      low = lastPairs(b0, b1);
      high = lastPairs(b2, b3);
      s0 = madd(v128.load(from, 32), firstValues(low, high), s0);
      s1 = madd(v128.load(from, 48), lastValues(low, high), s1);
      v128.store(unread, s1, 16);
      sixteen = v128.and(v128.load(at), nibble);
      b0 = lookup(p0, sixteen);
      b1 = lookup(p1, sixteen);
      b2 = lookup(p2, sixteen);
      b3 = lookup(p3, sixteen);
      low = firstPairs(b0, b1);
      high = firstPairs(b2, b3);
      s0 = madd(v128.load(from, 64), firstValues(low, high), s0);
      s1 = madd(v128.load(from, 80), lastValues(low, high), s1);
      v128.store(unread, s0);
      low = lastPairs(b0, b1);
      high = lastPairs(b2, b3);
      s0 = madd(v128.load(from, 96), firstValues(low, high), s0);
      s1 = madd(v128.load(from, 112), lastValues(low, high), s1);
      v128.store(unread, s1, 16);
      sixteen = v128.and(i16x8.shr_u(v128.load(at, 16), 4), nibble);
      b0 = lookup(p0, sixteen);
      b1 = lookup(p1, sixteen);
      b2 = lookup(p2, sixteen);
      b3 = lookup(p3, sixteen);
      low = firstPairs(b0, b1);
      high = firstPairs(b2, b3);
      s0 = madd(v128.load(from, 128), firstValues(low, high), s0);
      s1 = madd(v128.load(from, 144), lastValues(low, high), s1);
      v128.store(unread, s0);
      low = lastPairs(b0, b1);
      high = lastPairs(b2, b3);
      s0 = madd(v128.load(from, 160), firstValues(low, high), s0);
      s1 = madd(v128.load(from, 176), lastValues(low, high), s1);
      v128.store(unread, s1, 16);
      sixteen = v128.and(v128.load(at, 16), nibble);
      b0 = lookup(p0, sixteen);
      b1 = lookup(p1, sixteen);
      b2 = lookup(p2, sixteen);
      b3 = lookup(p3, sixteen);
      low = firstPairs(b0, b1);
      high = firstPairs(b2, b3);
      s0 = madd(v128.load(from, 192), firstValues(low, high), s0);
      s1 = madd(v128.load(from, 208), lastValues(low, high), s1);
      v128.store(unread, s0);
      low = lastPairs(b0, b1);
      high = lastPairs(b2, b3);
      s0 = madd(v128.load(from, 224), firstValues(low, high), s0);
      s1 = madd(v128.load(from, 240), lastValues(low, high), s1);
      const factor = v128.load32_splat(scale);
      total0 = madd(factor, s0, total0);
      total1 = madd(factor, s1, total1);
      at += 32;
      from += 256;
      scale += 4;
    }
    store<f32>(out + (<usize>row << 2), sumLanes(f32x4.add(total0, total1)));
  }
}

/** Most inFeatures of {@link quantizedVector}: their scales lie in the scratch. */
export function vectorLimit(): i32 {
  return ((scratchBytes() - 64) >> 2) << 6;
}
