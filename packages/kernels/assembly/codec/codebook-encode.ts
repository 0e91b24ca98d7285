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
// - A block with a value whose key equals a bound's (one in a hundred of NF4's) is done again in f32, as is one whose
//   values do not lie in [-1, 1], or are NaN.

/** Where things lie in the table that the host makes (src/codec-codebook.ts). */
const BOUNDS: usize = 0; // 15 f32, and 4 bytes unused
const LOW: usize = 64; // the low bytes of the 32 buckets' numbers
const HIGH: usize = 96; // their high bytes
const MAGIC: usize = 128; // four times 769 − 2^-12
const SIXTEEN: usize = 144; // sixteen bytes of 16
const WEIGHTS: usize = 160; // 16, 1, 16, 1, …, in 16 bits
const ORDER: usize = 176; // the code of each count
const EXTRA: usize = 192; // keys of extra bounds, each eight times

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

/** A table of 32 bytes by index; `other` is `index` with bit 4 flipped. */
// @ts-ignore: decorator
@inline function lookup32(low: v128, high: v128, index: v128, other: v128): v128 {
  return v128.or(i8x16.swizzle(low, index), i8x16.swizzle(high, other));
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
  const bytes = <usize>blockSize << 2;
  for (const end = scales + (<usize>blocks << 2); scales < end; scales += 4, peaks += 4) {
    const reciprocal = <f32>1 / max(load<f32>(scales), TINY);
    const known = load<f32>(peaks) * reciprocal <= LIMIT
      && (ordered ? encodeOrdered(values, reciprocal, codes, bytes, table)
        : encodeUnordered(values, reciprocal, codes, bytes, table, extra));
    if (!known) encodeExactly(values, reciprocal, codes, bytes, table);
    values += bytes;
    codes += bytes >> 3;
  }
}

/** One block, by the table. False if a key equals a bound's: then the codes are not to be used. */
// @ts-ignore: decorator
@inline function encodeOrdered(values: usize, reciprocal: f32, codes: usize, bytes: usize, table: usize): bool {
  const low0 = v128.load(table + LOW), low1 = v128.load(table + LOW, 16);
  const high0 = v128.load(table + HIGH), high1 = v128.load(table + HIGH, 16);
  const magic = v128.load(table + MAGIC);
  const sixteen = v128.load(table + SIXTEEN);
  const weights = v128.load(table + WEIGHTS);
  const scale = f32x4.splat(reciprocal);
  let least = i16x8.splat(-1);
  for (const end = values + bytes; values < end; values += 128, codes += 16) {
    let pairs0: v128, pairs1: v128;
    {
      const k0 = keysOf(values, scale, magic);
      const k1 = keysOf(values + 32, scale, magic);
      const index = i8x16.narrow_i16x8_u(i16x8.shr_s(k0, 10), i16x8.shr_s(k1, 10));
      const other = v128.xor(index, sixteen);
      const low = lookup32(low0, low1, index, other);
      const high = lookup32(high0, high1, index, other);
      const s0 = i16x8.add(k0, i8x16.shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
      const s1 = i16x8.add(k1, i8x16.shuffle(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
      least = i16x8.min_u(least, i16x8.min_u(i16x8.shl(s0, 5), i16x8.shl(s1, 5)));
      pairs0 = pairsOf(i8x16.narrow_i16x8_u(i16x8.shr_u(s0, 11), i16x8.shr_u(s1, 11)), weights);
    }
    {
      const k0 = keysOf(values + 64, scale, magic);
      const k1 = keysOf(values + 96, scale, magic);
      const index = i8x16.narrow_i16x8_u(i16x8.shr_s(k0, 10), i16x8.shr_s(k1, 10));
      const other = v128.xor(index, sixteen);
      const low = lookup32(low0, low1, index, other);
      const high = lookup32(high0, high1, index, other);
      const s0 = i16x8.add(k0, i8x16.shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
      const s1 = i16x8.add(k1, i8x16.shuffle(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
      least = i16x8.min_u(least, i16x8.min_u(i16x8.shl(s0, 5), i16x8.shl(s1, 5)));
      pairs1 = pairsOf(i8x16.narrow_i16x8_u(i16x8.shr_u(s0, 11), i16x8.shr_u(s1, 11)), weights);
    }
    v128.store(codes, packed(pairs0, pairs1));
  }
  return i16x8.all_true(least);
}
