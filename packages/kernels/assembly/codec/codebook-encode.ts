// Values to 4-bit codes. The code of a value is the number of midpoints ("bounds") below it, once it is scaled to [-1, 1].
// Counting with 15 comparisons of f32 would take most of the time there is, so the count comes from a table, eight values
// at a time in 16 bits, and only what 16 bits cannot decide is compared in f32:
//
// - Adding 769 to a scaled value rounds it to a multiple of 2^-14 and leaves that multiple in the low 16 bits of the sum:
//   the key. The sum keeps the order of the values, and bounds have keys that are made alike. A key above a bound's is a
//   value above the bound; where keys are equal nothing is known.
// - Keys fall in 32 buckets of 1024. In most codebooks a bucket holds one bound at most, so that the code is the number of
//   bounds in lower buckets, plus one if the key is above the bucket's own. One 16-bit number a bucket, added to the key,
//   gives that count in its upper five bits; the lower eleven are zero exactly where the keys are equal.
// - Bounds that share a bucket with another ("extra") are compared one by one.
// - 32 values of which one has the key of a bound (in NF4 it is one such group in fifty) are done again in f32, as is a
//   block whose values do not lie in [-1, 1], or are NaN.

/** Where things lie in the table that the host makes (src/codec-codebook.ts). */
const BOUNDS: usize = 0; // 15 f32, and 4 bytes unused
const LOW: usize = 64; // the low bytes of the 32 buckets' numbers
const HIGH: usize = 96; // their high bytes
const MAGIC: usize = 128; // four times 769 − 2^-12
const SIXTEEN: usize = 144; // sixteen bytes of 16
const WEIGHTS: usize = 160; // 16, 1, 16, 1, …, in 16 bits
const ORDER: usize = 176; // the code of each count
const PLACES: usize = 192; // where in a vector the bytes of codes are
const EXTRA: usize = 208; // keys of extra bounds, each eight times

/** Bytes of the values that are done again if one of them has the key of a bound. */
const SEGMENT: usize = 128;

/** The least scale that is divided by: 1e-38 in f32. */
const TINY: f32 = 1e-38;

/** Values up to this are keyed rightly; more than 1, because a value times the reciprocal of its magnitude can be. */
const LIMIT: f32 = 1 + 1 / 65536;

/** Keys of eight values. Value 4 comes first, then 0, 5, 1, 6, 2, 7, 3: that order needs the fewest instructions. */
// @ts-ignore: decorator
@inline function keysOf(values: usize, reciprocal: v128, magic: v128): v128 {
  const first = f32x4.add(f32x4.mul(v128.load(values), reciprocal), magic);
  const second = f32x4.add(f32x4.mul(v128.load(values, 16), reciprocal), magic);
  return i16x8.shuffle(second, i32x4.shl(first, 16), 0, 9, 2, 11, 4, 13, 6, 15);
}

/** A table of 32 bytes by index; `other` is `index` with bit 4 flipped. An index of 16 and more looks up zero. */
// @ts-ignore: decorator
@inline function lookup32(first: v128, second: v128, index: v128, other: v128): v128 {
  return v128.or(i8x16.swizzle(first, index), i8x16.swizzle(second, other));
}

/** The first eight 16-bit numbers of their low and high bytes. */
// @ts-ignore: decorator
@inline function zipLow(low: v128, high: v128): v128 {
  return i8x16.shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/** The last eight. */
// @ts-ignore: decorator
@inline function zipHigh(low: v128, high: v128): v128 {
  return i8x16.shuffle(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/**
 * Codes of `blocks` blocks, two to a byte.
 *
 * @param peaks largest magnitude of each block, as f32; may be the same address as `scales`.
 * @param blockSize values a block: a multiple of 32.
 * @param extra bytes of extra bounds in the table.
 * @param ordered whether the code is the count itself, and there are no extra bounds.
 */
export function encode(
  values: usize, scales: usize, peaks: usize, codes: usize, blocks: i32, blockSize: i32,
  table: usize, extra: usize, ordered: bool,
): void {
  if (ordered) encodeBlocks(values, scales, peaks, codes, blocks, blockSize, table, 0, true);
  else encodeBlocks(values, scales, peaks, codes, blocks, blockSize, table, extra, false);
}

// @ts-ignore: decorator
@inline function encodeBlocks(
  values: usize, scales: usize, peaks: usize, codes: usize, blocks: i32, blockSize: i32,
  table: usize, extra: usize, ordered: bool,
): void {
  const lowA = v128.load(table + LOW);
  const lowB = v128.load(table + LOW, 16);
  const highA = v128.load(table + HIGH);
  const highB = v128.load(table + HIGH, 16);
  const magic = v128.load(table + MAGIC);
  const sixteen = v128.load(table + SIXTEEN);
  const weights = v128.load(table + WEIGHTS);
  const order = v128.load(table + ORDER);
  const places = v128.load(table + PLACES);
  const bytes = <usize>blockSize << 2;
  for (const end = scales + (<usize>blocks << 2); scales < end; scales += 4, peaks += 4) {
    const reciprocal = <f32>1 / max(load<f32>(scales), TINY);
    const scale = f32x4.splat(reciprocal);
    const blockEnd = values + bytes;
    if (!(load<f32>(peaks) * reciprocal <= LIMIT)) {
      encodeExactly(values, reciprocal, codes, bytes, table);
      values = blockEnd;
      codes += bytes >> 3;
      continue;
    }
    while (values < blockEnd) {
      const start = values;
      let least = i16x8.splat(-1);
      for (const last = min(start + SEGMENT, blockEnd); values < last; values += 64, codes += 8) {
        const keys0 = keysOf(values, scale, magic);
        const keys1 = keysOf(values + 32, scale, magic);
        // Keys below all buckets (there are four, of values at -1) give bucket 0.
        const index = i8x16.narrow_i16x8_u(i16x8.shr_s(keys0, 10), i16x8.shr_s(keys1, 10));
        const other = v128.xor(index, sixteen);
        const low = lookup32(lowA, lowB, index, other);
        const high = lookup32(highA, highB, index, other);
        const sums0 = i16x8.add(keys0, zipLow(low, high));
        const sums1 = i16x8.add(keys1, zipHigh(low, high));
        least = i16x8.min_u(least, i16x8.min_u(i16x8.shl(sums0, 5), i16x8.shl(sums1, 5)));
        let counts = i8x16.narrow_i16x8_u(i16x8.shr_u(sums0, 11), i16x8.shr_u(sums1, 11));
        if (!ordered) {
          for (let bound = table + EXTRA, lastBound = bound + extra; bound < lastBound; bound += 16) {
            const key = v128.load(bound);
            // A comparison gives 0 or -1, and the packing keeps the sign.
            const above = i8x16.narrow_i16x8_s(i16x8.gt_s(keys0, key), i16x8.gt_s(keys1, key));
            counts = i8x16.sub(counts, above);
            least = v128.andnot(least, v128.or(i16x8.eq(keys0, key), i16x8.eq(keys1, key)));
          }
          counts = i8x16.swizzle(order, counts);
        }
        // 16-bit lanes hold the codes of values 4 and 0, 5 and 1, 6 and 2, 7 and 3 (low byte, high byte), then of the other
        // eight. Sixteen times a lane plus the next are the bytes of values 4 and 5, and 0 and 1; a shuffle brings them
        // into order.
        v128.store64_lane(codes, i8x16.swizzle(i32x4.dot_i16x8_s(counts, weights), places), 0);
      }
      // A key that equals a bound's decides nothing.
      if (!i16x8.all_true(least)) {
        const segment = values - start;
        encodeExactly(start, reciprocal, codes - (segment >> 3), segment, table);
      }
    }
  }
}

/** Part of a block, by comparing every value with every bound in f32. NaN is above all of them. */
function encodeExactly(values: usize, reciprocal: f32, codes: usize, bytes: usize, table: usize): void {
  const scale = f32x4.splat(reciprocal);
  const order = v128.load(table + ORDER);
  for (const end = values + bytes; values < end; values += 64, codes += 8) {
    const a = f32x4.mul(v128.load(values), scale);
    const b = f32x4.mul(v128.load(values, 16), scale);
    const c = f32x4.mul(v128.load(values, 32), scale);
    const d = f32x4.mul(v128.load(values, 48), scale);
    // 15 less the bounds that are not below: a comparison that holds is -1.
    let countA = i32x4.splat(15);
    let countB = countA;
    let countC = countA;
    let countD = countA;
    for (let i: usize = BOUNDS; i < BOUNDS + 60; i += 4) {
      const bound = v128.load32_splat(table + i);
      countA = i32x4.add(countA, f32x4.ge(bound, a));
      countB = i32x4.add(countB, f32x4.ge(bound, b));
      countC = i32x4.add(countC, f32x4.ge(bound, c));
      countD = i32x4.add(countD, f32x4.ge(bound, d));
    }
    const counts = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(countA, countB), i16x8.narrow_i32x4_s(countC, countD));
    const inOrder = i8x16.swizzle(order, counts);
    const pairs = v128.or(i16x8.shl(inOrder, 4), i16x8.shr_u(inOrder, 8));
    const packed = v128.and(pairs, i16x8.splat(255));
    v128.store64_lane(codes, i8x16.narrow_i16x8_u(packed, packed), 0);
  }
}
