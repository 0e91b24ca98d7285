// NF4 (Dettmers et al. 2023, appendix E): 16 values that split a normal distribution into slices of equal mass, with an
// exact zero. The constants are those of bitsandbytes (functional.py, get_4bit_type).
import type {
  BlockOptions,
  DequantizeOptions,
  FloatArrayOf,
  FloatDType,
  FloatValues,
  QuantizedBlocks,
} from './blocks';
import { codebookCodec } from './codebook';
import { dequantizeBlocks } from './codebook-decode';
import { encoderOf, quantizeBlocks } from './codebook-encode';

/** The 16 values of NF4, by code. */
export const NF4_CODEBOOK: Float32Array = /* @__PURE__ */ Float32Array.of(
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

/** The codec of {@link quantizeNf4} and {@link dequantizeNf4}, for strategies and containers. */
export const nf4 = /* @__PURE__ */ codebookCodec('nf4', NF4_CODEBOOK);

const encoder = /* @__PURE__ */ encoderOf('nf4', NF4_CODEBOOK);

/**
 * Quantizes values to NF4.
 *
 * A decoded value is off by at most 0.152 of its block's absmax: half the widest gap of the codebook, 1 − 0.6962. (Of blocks
 * whose absmax is below 1e-38, the least that bitsandbytes divides by, more may be lost, up to all.)
 *
 * @param values any number of them, f32, f16 or bf16; blocks run over them in order, the last one may be short.
 * @throws QloraError for a block size that is no power of two from 32 to 4096, or values that are no floats.
 * @example
 * const { codes, absmax } = quantizeNf4(weights, { blockSize: 64 });
 * const same = quantizeNf4({ dtype: 'bf16', data: bits }, { blockSize: 64 });
 */
export function quantizeNf4(values: FloatValues, options?: BlockOptions): QuantizedBlocks {
  return quantizeBlocks(encoder, values, options);
}

/**
 * The values that NF4 codes stand for: codebook[code] × absmax of the block, in f32, or that rounded once to f16 or bf16
 * (raw bits in a Uint16Array).
 *
 * @param count how many values there were (the codes alone do not say whether it was odd).
 * @throws QloraError if there are too few codes or scales.
 * @example
 * const weights = dequantizeNf4({ codes, absmax }, count);
 * const bits = dequantizeNf4({ codes, absmax }, count, { dtype: 'bf16' });
 */
export function dequantizeNf4<D extends FloatDType = 'f32'>(
  quantized: QuantizedBlocks,
  count: number,
  options?: DequantizeOptions<D>,
): FloatArrayOf<D> {
  return dequantizeBlocks('nf4', NF4_CODEBOOK, quantized, count, options);
}
