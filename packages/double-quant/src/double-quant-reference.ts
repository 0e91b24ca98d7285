// The arithmetic of double quantization in plain TypeScript: what the kernels are held to, and what runs where there are
// none, and for a short last block. It is that of bitsandbytes' CPU kernel (csrc/cpu_ops.cpp, quantize_cpu_impl, version
// 0.50.2), which finds codes through a table of 65536 bins over [-1, 1] rather than by exact search: a value counts as the
// middle of its bin, at most 1/65535 away; a block of zeros gets code 0. bitsandbytes' other backends search exactly
// (backends/default/ops.py, csrc/kernels.cu) or, on ARM, multiply by 65535 / 2 at once; this is the one that runs on x86.
import { createDynamicMap } from './dynamic-map';

const BINS = 65536;
let table: Uint8Array | undefined;

/** For each bin of [-1, 1] the code whose value is nearest to the bin's own. The same array on each call. */
export function codeTable(): Uint8Array {
  if (table) return table;
  const map = createDynamicMap();
  table = new Uint8Array(BINS);
  let code = 0;
  for (let bin = 0; bin < BINS; bin++) {
    const value = Math.fround(-1 + Math.fround((2 * bin) / (BINS - 1)));
    while (code < 255 && Math.fround(map[code]! + map[code + 1]!) / 2 < value) code++;
    table[bin] = code;
  }
  return table;
}

/** Codes of scales into bytes that are zero, and the nested scale of each block. */
export function plainDoubleQuantize(
  scales: Float32Array,
  blockSize: number,
  offset: number,
  codes: Uint8Array,
  nested: Float32Array,
): void {
  const lookup = codeTable();
  for (let block = 0; block < nested.length; block++) {
    const start = block * blockSize;
    const end = Math.min(start + blockSize, scales.length);
    let max = 0;
    for (let i = start; i < end; i++) max = Math.max(max, Math.abs(Math.fround(scales[i]! - offset)));
    nested[block] = max;
    if (max === 0) continue;
    const reciprocal = Math.fround(1 / max);
    for (let i = start; i < end; i++) {
      const scaled = Math.fround(Math.fround(scales[i]! - offset) * reciprocal);
      const clamped = Math.min(1, Math.max(-1, scaled));
      codes[i] = lookup[binOf(clamped)]!;
    }
  }
}

/** (v + 1) · 0.5 · 65535 + 0.5, cut to an integer, in f32 with the last two steps fused. */
function binOf(value: number): number {
  return Math.trunc(Math.fround((Math.fround(value + 1) / 2) * (BINS - 1) + 0.5));
}

/** Scales of codes. */
export function plainDoubleDequantize(
  codes: Uint8Array,
  nested: Float32Array,
  blockSize: number,
  offset: number,
  map: Float32Array,
  scales: Float32Array,
): void {
  for (let i = 0; i < codes.length; i++) {
    scales[i] = Math.fround(map[codes[i]!]! * nested[Math.floor(i / blockSize)]!) + offset;
  }
}
