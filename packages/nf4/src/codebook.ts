// Block-wise 4-bit quantization against a codebook of 16 values, as bitsandbytes does it on CPU (its backend "default",
// bitsandbytes/backends/default/ops.py, version 0.50), byte for byte. Its arithmetic has corners that are kept here:
//
// - A full block is scaled by the f32 reciprocal of its absmax; a short last block is divided by its absmax.
// - A value that lies exactly on the midpoint of two entries takes the lower one.
// - NaN takes the highest entry, and makes the whole block NaN (its absmax is NaN).
// - The absmax of a short last block of zeros is stored as 1e-38, that of a full one as 0.
// - An odd count is padded with the code of 0 (7 for NF4).
import { QloraError } from '@qlora/tensor';

/** Codes and scales of a quantized array. */
export interface QuantizedBlocks {
  /** ⌈count / 2⌉ bytes, the first value in the high nibble. */
  readonly codes: Uint8Array;
  /** ⌈count / blockSize⌉ scales. */
  readonly absmax: Float32Array;
}

/** Options of quantizing and dequantizing. */
export interface BlockOptions {
  /** Values that share a scale: a power of two from 32 to 4096. Default 64. */
  readonly blockSize?: number;
}

/** A 4-bit codebook codec; structurally the `Codec` of `@qlora/quant-strategies`. */
export interface CodebookCodec {
  readonly name: string;
  readonly bitsPerValue: number;
  readonly codebook: Float32Array;
  absmax(values: Float32Array, blockSize: number): Float32Array;
  encode(values: Float32Array, scales: Float32Array, blockSize: number): Uint8Array;
  decode(codes: Uint8Array, scales: Float32Array, blockSize: number, count: number): Float32Array;
}

/** bitsandbytes' default. */
export const DEFAULT_BLOCK_SIZE = 64;

// The least scale that bitsandbytes divides by.
const TINY = Math.fround(1e-38);

/**
 * Throws unless `blockSize` is a power of two from 32 to 4096, the sizes that bitsandbytes knows.
 */
export function checkBlockSize(blockSize: number, where: string): void {
  const known =
    Number.isInteger(blockSize) &&
    blockSize >= 32 &&
    blockSize <= 4096 &&
    (blockSize & (blockSize - 1)) === 0;
  if (!known) {
    throw new QloraError({
      what: `block size ${blockSize} is not supported`,
      where,
      fix: 'use 32, 64, 128, … or 4096',
    });
  }
}

/** Throws unless there are as many codes and scales as `count` values in blocks need. */
function checkCounts(
  name: string,
  codes: Uint8Array,
  scales: Float32Array,
  blockSize: number,
  count: number,
): void {
  const bytes = Math.ceil(count / 2);
  const blocks = Math.ceil(count / blockSize);
  if (codes.length < bytes || scales.length < blocks) {
    throw new QloraError({
      what: `${codes.length} bytes of codes and ${scales.length} scales are too few for ${count} values`,
      where: name,
      fix: `${bytes} and ${blocks} are needed for blocks of ${blockSize}`,
    });
  }
}

/** A codec over 16 values in [-1, 1], in the order of their codes. */
export function codebookCodec(name: string, codebook: Float32Array): CodebookCodec {
  // Codes by ascending value, and the midpoints between neighbours, rounded to f32 as bitsandbytes has them.
  const order = Uint8Array.from(codebook.keys()).sort((a, b) => codebook[a]! - codebook[b]! || a - b);
  const bounds = new Float32Array(15);
  for (let i = 0; i < 15; i++) bounds[i] = Math.fround(codebook[order[i]!]! + codebook[order[i + 1]!]!) / 2;

  /** Number of bounds below v (all 15 for NaN), by four comparisons, as a code. */
  const nearest = (v: number): number => {
    let i = 0;
    if (!(bounds[7]! >= v)) i = 8;
    if (!(bounds[i + 3]! >= v)) i += 4;
    if (!(bounds[i + 1]! >= v)) i += 2;
    if (!(bounds[i]! >= v)) i += 1;
    return order[i]!;
  };

  return {
    name,
    bitsPerValue: 4,
    codebook,

    absmax(values, blockSize) {
      checkBlockSize(blockSize, name);
      const scales = new Float32Array(Math.ceil(values.length / blockSize));
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
      return scales;
    },

    encode(values, scales, blockSize) {
      const count = values.length;
      const codes = new Uint8Array(Math.ceil(count / 2));
      checkCounts(name, codes, scales, blockSize, count);
      for (let block = 0, start = 0; start < count; block++, start += blockSize) {
        const end = Math.min(start + blockSize, count);
        const scale = scales[block]!;
        const short = end - start < blockSize;
        const reciprocal = Math.fround(1 / Math.max(scale, TINY));
        for (let i = start; i < end; i++) {
          const scaled = Math.fround(short ? values[i]! / scale : values[i]! * reciprocal);
          // bitsandbytes clamps to [-1, 1] here; beyond the outermost bounds the code is the same without.
          const code = nearest(scaled);
          codes[i >> 1]! |= i & 1 ? code : code << 4;
        }
      }
      if (count & 1) codes[count >> 1]! |= nearest(0);
      return codes;
    },

    decode(codes, scales, blockSize, count) {
      checkCounts(name, codes, scales, blockSize, count);
      const values = new Float32Array(count);
      for (let block = 0, start = 0; start < count; block++, start += blockSize) {
        const end = Math.min(start + blockSize, count);
        const scale = scales[block]!;
        for (let i = start; i < end; i++) {
          const byte = codes[i >> 1]!;
          values[i] = codebook[i & 1 ? byte & 15 : byte >> 4]! * scale;
        }
      }
      return values;
    },
  };
}

/** The two functions that most users want, over a codec. */
export function quantizeBlocks(
  codec: CodebookCodec,
  values: Float32Array,
  options: BlockOptions = {},
): QuantizedBlocks {
  const { blockSize = DEFAULT_BLOCK_SIZE } = options;
  const absmax = codec.absmax(values, blockSize);
  return { codes: codec.encode(values, absmax, blockSize), absmax };
}

/** See {@link quantizeBlocks}. */
export function dequantizeBlocks(
  codec: CodebookCodec,
  quantized: QuantizedBlocks,
  count: number,
  options: BlockOptions = {},
): Float32Array {
  const { blockSize = DEFAULT_BLOCK_SIZE } = options;
  checkBlockSize(blockSize, codec.name);
  return codec.decode(quantized.codes, quantized.absmax, blockSize, count);
}
