// NF4 (Dettmers et al. 2023, appendix E): 16 values that split a normal distribution into slices of equal mass, with an
// exact zero. The constants are those of bitsandbytes (functional.py, get_4bit_type).
import {
  type BlockOptions,
  codebookCodec,
  dequantizeBlocks,
  type QuantizedBlocks,
  quantizeBlocks,
} from './codebook';

/** The 16 values of NF4, by code. */
export const NF4_CODEBOOK: Float32Array = Float32Array.of(
  -1.0,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0.0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1.0,
);

/** The codec behind {@link quantizeNf4}, for strategies and containers. */
export const nf4 = /* @__PURE__ */ codebookCodec('nf4', NF4_CODEBOOK);

/**
 * Quantizes values to NF4.
 *
 * @param values any number of values; blocks run over them in order, the last one may be short.
 * @throws QloraError for a block size that is no power of two from 32 to 4096.
 * @example
 * const { codes, absmax } = quantizeNf4(weights, { blockSize: 64 });
 */
export function quantizeNf4(values: Float32Array, options?: BlockOptions): QuantizedBlocks {
  return quantizeBlocks(nf4, values, options);
}

/**
 * The values that NF4 codes stand for: codebook[code] × absmax of the block, in f32.
 *
 * @param count how many values there were (the codes alone do not say whether it was odd).
 * @throws QloraError if there are too few codes or scales.
 */
export function dequantizeNf4(
  quantized: QuantizedBlocks,
  count: number,
  options?: BlockOptions,
): Float32Array {
  return dequantizeBlocks(nf4, quantized, count, options);
}
