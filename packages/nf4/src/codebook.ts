// Block-wise 4-bit quantization against a codebook of 16 values, as bitsandbytes does it on CPU, byte for byte. What the
// arithmetic is, corners included, is written in codebook-reference.ts; whole blocks go through the kernels of
// @qlora/kernels, which give the same bytes, and short last blocks and small inputs through that file.
import {
  absmaxBlocks,
  type CodebookTables,
  codebookTables,
  decodeBlocks,
  encodeBlocks,
  quantizeBlocks as quantizeWholeBlocks,
} from '@qlora/kernels';
import { QloraError, type Tensor, tensor, toFloat32 } from '@qlora/tensor';
import { referenceAbsmax, referenceDecode, referenceEncode, searchOf } from './codebook-reference';

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
  /**
   * `absmax` and `encode` of a float tensor in one pass, without a copy in f32 where it is f16 or bf16. Undefined if this
   * codec was made of another one and has one of the two of its own.
   */
  quantize(source: Tensor, blockSize: number): QuantizedBlocks | undefined;
}

/** bitsandbytes' default. */
export const DEFAULT_BLOCK_SIZE = 64;

// Below this many values a call into WebAssembly costs more than it saves.
const SMALL = 256;

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

/**
 * A codec over 16 values in [-1, 1], in the order of their codes.
 *
 * Whole blocks go through WebAssembly where there is SIMD; the bytes are the same.
 */
export function codebookCodec(name: string, codebook: Float32Array): CodebookCodec {
  const search = searchOf(codebook);
  let tables: CodebookTables | undefined | null = null;
  /** What the kernels need to encode, made on first use; undefined for a codebook that they cannot take. */
  const tablesOf = () => {
    if (tables === null) tables = codebookTables(search.order, search.bounds);
    return tables;
  };

  const codec: CodebookCodec = {
    name,
    bitsPerValue: 4,
    codebook,

    absmax(values, blockSize) {
      checkBlockSize(blockSize, name);
      const scales = new Float32Array(Math.ceil(values.length / blockSize));
      let done = 0;
      if (values.length >= SMALL && absmaxBlocks(values, blockSize, scales)) {
        done = Math.floor(values.length / blockSize);
      }
      referenceAbsmax(values.subarray(done * blockSize), blockSize, scales.subarray(done));
      return scales;
    },

    encode(values, scales, blockSize) {
      const count = values.length;
      const codes = new Uint8Array(Math.ceil(count / 2));
      checkCounts(name, codes, scales, blockSize, count);
      let done = 0;
      const known = count >= SMALL ? tablesOf() : undefined;
      if (known && encodeBlocks(values, scales, blockSize, known, codes)) {
        done = Math.floor(count / blockSize);
      }
      const start = done * blockSize;
      referenceEncode(
        search,
        values.subarray(start),
        scales.subarray(done),
        blockSize,
        codes.subarray(start / 2),
      );
      return codes;
    },

    decode(codes, scales, blockSize, count) {
      checkCounts(name, codes, scales, blockSize, count);
      const values = new Float32Array(count);
      let done = 0;
      if (count >= SMALL && decodeBlocks(codes, scales, blockSize, codebook, values)) {
        done = Math.floor(count / blockSize);
      }
      const start = done * blockSize;
      referenceDecode(
        codebook,
        codes.subarray(start / 2),
        scales.subarray(done),
        blockSize,
        values.subarray(start),
      );
      return values;
    },

    quantize(source, blockSize) {
      checkBlockSize(blockSize, name);
      // A codec that was made of this one and has an absmax or encode of its own means those.
      const self: CodebookCodec = this ?? codec;
      if (self.absmax !== codec.absmax || self.encode !== codec.encode) return undefined;
      const { dtype, data } = source;
      const count = data.length;
      const known = count >= SMALL ? tablesOf() : undefined;
      const kind = dtype === 'f32' || dtype === 'f16' || dtype === 'bf16' ? dtype : undefined;
      if (known && kind) {
        const absmax = new Float32Array(Math.ceil(count / blockSize));
        const codes = new Uint8Array(Math.ceil(count / 2));
        const values = data as Float32Array | Uint16Array;
        if (quantizeWholeBlocks(kind, values, blockSize, known, absmax, codes)) {
          const done = Math.floor(count / blockSize);
          const start = done * blockSize;
          const part = { dtype: kind, shape: [count - start], data: values.subarray(start) };
          const rest = toFloat32(part as Tensor);
          referenceAbsmax(rest, blockSize, absmax.subarray(done));
          referenceEncode(search, rest, absmax.subarray(done), blockSize, codes.subarray(start / 2));
          return { codes, absmax };
        }
      }
      const values = toFloat32(source);
      const absmax = codec.absmax(values, blockSize);
      return { codes: codec.encode(values, absmax, blockSize), absmax };
    },
  };
  return codec;
}

/** The two functions that most users want, over a codec. */
export function quantizeBlocks(
  codec: CodebookCodec,
  values: Float32Array,
  options: BlockOptions = {},
): QuantizedBlocks {
  const { blockSize = DEFAULT_BLOCK_SIZE } = options;
  const quantized = codec.quantize(tensor('f32', [values.length], values), blockSize);
  if (quantized) return quantized;
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
