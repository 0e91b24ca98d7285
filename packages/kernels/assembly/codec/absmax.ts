// Largest magnitudes. Magnitudes are compared as integers: for f32 the order is the same, NaN lies above infinity, and one
// instruction does it.

/** What a block with a NaN in it gets: the NaN that JavaScript writes. */
const NAN: u32 = 0x7fc00000;
const INFINITY: u32 = 0x7f800000;

/** The largest of four lanes. */
// @ts-ignore: decorator
@inline function largest(lanes: v128): u32 {
  const two = i32x4.max_u(lanes, i32x4.shuffle(lanes, lanes, 2, 3, 0, 1));
  return i32x4.extract_lane(i32x4.max_u(two, i32x4.shuffle(two, two, 1, 0, 3, 2)), 0);
}

/** Bits of the largest magnitude of f32 values; above infinity's if one is NaN. `bytes` is a multiple of 64. */
export function peak32(values: usize, bytes: usize): u32 {
  const magnitude = i32x4.splat(0x7fffffff);
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (const end = values + bytes; values < end; values += 64) {
    a = i32x4.max_u(a, v128.and(v128.load(values), magnitude));
    b = i32x4.max_u(b, v128.and(v128.load(values, 16), magnitude));
    c = i32x4.max_u(c, v128.and(v128.load(values, 32), magnitude));
    d = i32x4.max_u(d, v128.and(v128.load(values, 48), magnitude));
  }
  return largest(i32x4.max_u(i32x4.max_u(a, b), i32x4.max_u(c, d)));
}

/** The same for 16-bit floats of either kind. `bytes` is a multiple of 16. */
export function peak16(bits: usize, bytes: usize): u32 {
  let most = i16x8.splat(0);
  for (const end = bits + bytes; bits < end; bits += 16) {
    most = i16x8.max_u(most, v128.and(v128.load(bits), i16x8.splat(0x7fff)));
  }
  // Both halves of each 32-bit lane, then the lanes.
  return largest(i32x4.max_u(i32x4.shr_u(most, 16), v128.and(most, i32x4.splat(0xffff))));
}

/** The absmax of each block of `blockSize` values, a multiple of 16. */
export function absmax(values: usize, scales: usize, blocks: i32, blockSize: i32): void {
  const bytes = <usize>blockSize << 2;
  for (const end = scales + (<usize>blocks << 2); scales < end; scales += 4, values += bytes) {
    const peak = peak32(values, bytes);
    store<u32>(scales, peak > INFINITY ? NAN : peak);
  }
}
