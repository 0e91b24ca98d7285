// Double quantization (Dettmers et al. 2023, section 3): the scales of a quantized tensor, less their mean, quantized
// to 8 bits in blocks of 256. The arithmetic is that of bitsandbytes' CPU kernel (csrc/cpu_ops.cpp, quantize_cpu_impl,
// version 0.50), which finds codes through a table of 65536 bins over [-1, 1] rather than by exact search, so a value
// within 1/65535 of a midpoint can take the neighbour; a block of zeros gets code 0.
//
// The mean is summed in PyTorch's order, so that the offset is the same too (see mean.ts for where it can differ).
import { QloraError } from '@qlora/tensor';
import type { DoubleQuantized } from './contract';
import { createDynamicMap } from './dynamic-map';
import { mean } from './mean';

/** Scales that share a nested scale in bitsandbytes. */
export const NESTED_BLOCK_SIZE = 256;

const BINS = 65536;
let table: Uint8Array | undefined;

/** For each bin of [-1, 1] the code whose value is nearest to the bin's own. */
function codeTable(): Uint8Array {
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

/** Options of {@link doubleQuantize}. */
export interface DoubleQuantOptions {
  /** Scales that share a nested scale: a power of two. Default 256. */
  readonly blockSize?: number;
}

/**
 * Quantizes block scales to 8 bits.
 *
 * A decoded scale is off by at most 0.0073 of the largest |scale − mean| of its block of 256: half the widest gap of
 * the map, 0.0140625, and a bin's width.
 *
 * @param scales one number a block, as `quantizeNf4(...).absmax`; finite.
 * @throws QloraError for a block size that is no power of two, or scales that are not finite.
 * @example
 * const nested = doubleQuantize(absmax);
 * const restored = doubleDequantize(nested);
 */
export function doubleQuantize(scales: Float32Array, options: DoubleQuantOptions = {}): DoubleQuantized {
  const { blockSize = NESTED_BLOCK_SIZE } = options;
  if (!Number.isInteger(blockSize) || blockSize < 1 || (blockSize & (blockSize - 1)) !== 0) {
    throw new QloraError({
      what: `block size ${blockSize} is no power of two`,
      where: 'doubleQuantize',
      fix: 'use 256',
    });
  }
  const offset = mean(scales);
  if (!Number.isFinite(offset)) {
    throw new QloraError({
      what: 'a scale is not finite',
      where: 'doubleQuantize',
      fix: 'the tensor holds NaN or infinity',
    });
  }
  const codes = new Uint8Array(scales.length);
  const nestedAbsmax = new Float32Array(Math.ceil(scales.length / blockSize));
  const lookup = codeTable();
  for (let block = 0; block < nestedAbsmax.length; block++) {
    const start = block * blockSize;
    const end = Math.min(start + blockSize, scales.length);
    let max = 0;
    for (let i = start; i < end; i++) max = Math.max(max, Math.abs(Math.fround(scales[i]! - offset)));
    nestedAbsmax[block] = max;
    if (max === 0) continue;
    const reciprocal = Math.fround(1 / max);
    for (let i = start; i < end; i++) {
      const scaled = Math.fround(Math.fround(scales[i]! - offset) * reciprocal);
      const clamped = Math.min(1, Math.max(-1, scaled));
      codes[i] = lookup[binOf(clamped)]!;
    }
  }
  return { codes, nestedAbsmax, blockSize, offset, map: createDynamicMap() };
}

/** (v + 1) · 0.5 · 65535 + 0.5, cut to an integer, in f32 with the last two steps fused. */
function binOf(value: number): number {
  return Math.trunc(Math.fround((Math.fround(value + 1) / 2) * (BINS - 1) + 0.5));
}

/**
 * The scales that codes stand for: map[code] × nestedAbsmax of the block + offset, each step in f32.
 * @throws QloraError if there are too few nested scales.
 */
export function doubleDequantize(quantized: DoubleQuantized): Float32Array {
  const { codes, nestedAbsmax, blockSize, offset, map } = quantized;
  if (nestedAbsmax.length < Math.ceil(codes.length / blockSize) || map.length !== 256) {
    throw new QloraError({
      what: `${nestedAbsmax.length} nested scales and a map of ${map.length} for ${codes.length} codes`,
      where: 'doubleDequantize',
      fix: `${Math.ceil(codes.length / blockSize)} and 256 are needed`,
    });
  }
  const scales = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    scales[i] = Math.fround(map[codes[i]!]! * nestedAbsmax[Math.floor(i / blockSize)]!) + offset;
  }
  return scales;
}
