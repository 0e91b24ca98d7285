// The table that encoding goes by (assembly/codec/codebook-encode.ts says how): made once for a codebook.

/** A codebook, as the kernels take it. */
export interface CodebookTables {
  readonly bytes: Uint8Array;
  /** Bytes of the bounds at the end that share a bucket with another. */
  readonly extra: number;
  /** Whether codes ascend with values, and no bound is extra. */
  readonly ordered: boolean;
}

const BUCKETS = 32;
const BUCKET = 1024;
const FIXED = 208;

// See the end of the kernel's loop.
const PLACES = [1, 5, 0, 4, 9, 13, 8, 12];

// Values are keyed up to this magnitude (LIMIT of the kernel).
const LIMIT = 1 + 2 ** -16;

// 769 less four units: the least value, -1, has the key -4, so that the largest, 1, stays below 2^15.
const MAGIC = 769 - 2 ** -12;

/**
 * Tables of a codebook of 16 values.
 *
 * @param order codes by ascending value.
 * @param bounds the 15 midpoints between neighbours: a value takes the code of the number of bounds below it.
 * @returns undefined if the bounds are not finite and ascending.
 */
export function codebookTables(order: Uint8Array, bounds: Float32Array): CodebookTables | undefined {
  const sound =
    order.length === 16 &&
    bounds.length === 15 &&
    bounds.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound >= bounds[i - 1]!));
  if (!sound) return undefined;
  const bytes = new Uint8Array(FIXED + 16 * 15);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 15; i++) view.setFloat32(4 * i, bounds[i]!, true);
  for (let i = 0; i < 4; i++) view.setFloat32(128 + 4 * i, MAGIC, true);
  bytes.fill(16, 144, 160);
  for (let i = 0; i < 8; i++) view.setInt16(160 + 2 * i, i % 2 === 0 ? 16 : 1, true);
  bytes.set(order, 176);
  bytes.set(PLACES, 192);

  // Bounds beyond what is keyed are below all values, or below none.
  let below = bounds.filter((bound) => bound < -LIMIT).length;
  const keys = Array.from(
    bounds.filter((bound) => Math.abs(bound) <= LIMIT),
    keyOf,
  );
  const extra: number[] = [];
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const start = bucket * BUCKET;
    const [key, ...rest] = keys.filter((key) => bucketOf(key) === bucket);
    // With a bound: its key brings the sum to a multiple of 2048. Without: sums stay between two multiples.
    const number = key === undefined ? below * 2048 + 512 - start : (below + 1) * 2048 - key;
    bytes[64 + bucket] = number & 255;
    bytes[96 + bucket] = (number >> 8) & 255;
    if (key !== undefined) below++;
    extra.push(...rest);
  }
  extra.forEach((key, i) => {
    for (let lane = 0; lane < 8; lane++) view.setInt16(FIXED + 16 * i + 2 * lane, key, true);
  });
  return {
    bytes: bytes.subarray(0, FIXED + 16 * extra.length),
    extra: 16 * extra.length,
    ordered: extra.length === 0 && order.every((code, i) => code === i),
  };
}

/** The key of a value as the kernels find it: a multiple of 2^-14, from -4 for -1. */
function keyOf(value: number): number {
  return (Math.fround(value + MAGIC) - 768) * 16384;
}

function bucketOf(key: number): number {
  return Math.min(BUCKETS - 1, Math.max(0, key >> 10));
}
