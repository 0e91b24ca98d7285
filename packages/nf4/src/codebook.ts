// Block-wise 4-bit quantization against a codebook of 16 values, as bitsandbytes does it on CPU, byte for byte. What the
// arithmetic is, corners included, is written in codebook-reference.ts; whole blocks go through the kernels of
// @qlora/kernels, which give the same bytes, and short last blocks and small inputs through that file.
import type { FloatArrayOf, FloatDType, FloatValues, QuantizedBlocks } from './blocks';
import { decodeCodes, roundTo } from './codebook-decode';
import { absmaxOf, encoderOf, encodeValues, quantizeValues } from './codebook-encode';

/** A 4-bit codebook codec; structurally the `Codec` of `@qlora/quant-strategies`. */
export interface CodebookCodec {
  readonly name: string;
  readonly bitsPerValue: number;
  readonly codebook: Float32Array;
  absmax(values: Float32Array, blockSize: number): Float32Array;
  encode(values: Float32Array, scales: Float32Array, blockSize: number): Uint8Array;
  decode(codes: Uint8Array, scales: Float32Array, blockSize: number, count: number): Float32Array;
  /** `decode`, each value rounded once to the given type, without a copy of the whole in f32. */
  decodeAs<D extends FloatDType>(
    dtype: D,
    codes: Uint8Array,
    scales: Float32Array,
    blockSize: number,
    count: number,
  ): FloatArrayOf<D>;
  /**
   * `absmax` and `encode` of a float tensor in one pass, without a copy in f32 where it is f16 or bf16. Undefined if this
   * codec was made of another one and has one of the two of its own.
   */
  quantize(source: FloatValues, blockSize: number): QuantizedBlocks | undefined;
}

/**
 * A codec over 16 values in [-1, 1], in the order of their codes.
 *
 * Whole blocks go through WebAssembly where there is SIMD; the bytes are the same.
 */
export function codebookCodec(name: string, codebook: Float32Array): CodebookCodec {
  const encoder = encoderOf(name, codebook);

  const codec: CodebookCodec = {
    name,
    bitsPerValue: 4,
    codebook,
    absmax: (values, blockSize) => absmaxOf(encoder, values, blockSize),
    encode: (values, scales, blockSize) => encodeValues(encoder, values, scales, blockSize),
    decode: (codes, scales, blockSize, count) =>
      decodeCodes(name, codebook, 'f32', codes, scales, blockSize, count),

    decodeAs(dtype, codes, scales, blockSize, count) {
      // A codec that was made of this one and has a decode of its own means that.
      const self: CodebookCodec = this ?? codec;
      if (self.decode === codec.decode) {
        return decodeCodes(name, codebook, dtype, codes, scales, blockSize, count);
      }
      const values = self.decode(codes, scales, blockSize, count);
      return (dtype === 'f32' ? values : roundTo(dtype, values)) as FloatArrayOf<typeof dtype>;
    },

    quantize(source, blockSize) {
      // Likewise for an absmax or encode of its own.
      const self: CodebookCodec = this ?? codec;
      if (self.absmax !== codec.absmax || self.encode !== codec.encode) return undefined;
      return quantizeValues(encoder, source, blockSize);
    },
  };
  return codec;
}
