// The arithmetic of the codec in plain TypeScript: what the kernels are held to, and what runs where there are none, for
// small inputs, and for a short last block.
//
// bitsandbytes' corners (its backend "default", bitsandbytes/backends/default/ops.py, version 0.50.2, which quantizes on a
// CPU; README.md lists where others differ, and why this one is followed):
//
// - A full block is scaled by the f32 reciprocal of its absmax; a short last block is divided by its absmax.
// - A value that lies exactly on the midpoint of two entries takes the lower one.
// - NaN takes the highest entry, and makes the whole block NaN (its absmax is NaN).
// - The absmax of a short last block of zeros is stored as 1e-38, that of a full one as 0.
// - An odd count is padded with the code of 0 (7 for NF4).

// The least scale that bitsandbytes divides by.
const TINY = /* @__PURE__ */ Math.fround(1e-38);

/** How a codebook is searched. */
export interface Search {
  /** Codes by ascending value. */
  readonly order: Uint8Array;
  /** The 15 midpoints between neighbours, rounded to f32 as bitsandbytes has them. */
  readonly bounds: Float32Array;
}

/** The search over a codebook of 16 values. */
export function searchOf(codebook: Float32Array): Search {
  const order = Uint8Array.from(codebook.keys()).sort((a, b) => codebook[a]! - codebook[b]! || a - b);
  const bounds = new Float32Array(15);
  for (let i = 0; i < 15; i++) bounds[i] = Math.fround(codebook[order[i]!]! + codebook[order[i + 1]!]!) / 2;
  return { order, bounds };
}

/** The code of the number of bounds below v (all 15 for NaN), by four comparisons. */
function nearest({ order, bounds }: Search, v: number): number {
  let i = 0;
  if (!(bounds[7]! >= v)) i = 8;
  if (!(bounds[i + 3]! >= v)) i += 4;
  if (!(bounds[i + 1]! >= v)) i += 2;
  if (!(bounds[i]! >= v)) i += 1;
  return order[i]!;
}

/** Scales of blocks. */
export function referenceAbsmax(values: Float32Array, blockSize: number, scales: Float32Array): void {
  for (let block = 0, start = 0; block < scales.length; block++, start += blockSize) {
    const end = Math.min(start + blockSize, values.length);
    let max = 0;
    let nan = false;
    for (let i = start; i < end; i++) {
      const magnitude = Math.abs(values[i]!);
      if (magnitude > max) max = magnitude;
      else if (Number.isNaN(magnitude)) nan = true;
    }
    if (nan) max = Number.NaN;
    else if (end - start < blockSize && max < TINY) max = TINY;
    scales[block] = max;
  }
}

/** Codes of blocks, into bytes that are zero. */
export function referenceEncode(
  search: Search,
  values: Float32Array,
  scales: Float32Array,
  blockSize: number,
  codes: Uint8Array,
): void {
  const count = values.length;
  for (let block = 0, start = 0; start < count; block++, start += blockSize) {
    const end = Math.min(start + blockSize, count);
    const scale = scales[block]!;
    const short = end - start < blockSize;
    const reciprocal = Math.fround(1 / Math.max(scale, TINY));
    for (let i = start; i < end; i++) {
      const scaled = Math.fround(short ? values[i]! / scale : values[i]! * reciprocal);
      // bitsandbytes clamps to [-1, 1] here; beyond the outermost bounds the code is the same without.
      const code = nearest(search, scaled);
      codes[i >> 1]! |= i & 1 ? code : code << 4;
    }
  }
  if (count & 1) codes[count >> 1]! |= nearest(search, 0);
}

/** Values of codes. */
export function referenceDecode(
  codebook: Float32Array,
  codes: Uint8Array,
  scales: Float32Array,
  blockSize: number,
  values: Float32Array,
): void {
  const count = values.length;
  for (let block = 0, start = 0; start < count; block++, start += blockSize) {
    const end = Math.min(start + blockSize, count);
    const scale = scales[block]!;
    for (let i = start; i < end; i++) {
      const byte = codes[i >> 1]!;
      values[i] = codebook[i & 1 ? byte & 15 : byte >> 4]! * scale;
    }
  }
}
