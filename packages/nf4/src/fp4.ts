// FP4: one sign bit, two exponent bits, one fraction bit, as bitsandbytes has it (functional.py, get_4bit_type): the
// bit pattern is the code, values are divided by the largest, 12. Code 8 is a negative zero that stands for 0 too:
// values just above zero take it, because bitsandbytes puts the midpoint of its two zeros at 0.
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

/** The 16 values of FP4, by code. */
export const FP4_CODEBOOK: Float32Array = /* @__PURE__ */ Float32Array.from(
  [0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3],
  (value) => value / 12,
);

/** The codec of {@link quantizeFp4} and {@link dequantizeFp4}, for strategies and containers. */
export const fp4 = /* @__PURE__ */ codebookCodec('fp4', FP4_CODEBOOK);

const encoder = /* @__PURE__ */ encoderOf('fp4', FP4_CODEBOOK);

/**
 * Quantizes values to FP4; see `quantizeNf4`. A decoded value is off by at most 0.167 of its block's absmax: half the gap
 * from 8 to 12, over 12.
 */
export function quantizeFp4(values: FloatValues, options?: BlockOptions): QuantizedBlocks {
  return quantizeBlocks(encoder, values, options);
}

/** The values that FP4 codes stand for; see `dequantizeNf4`. */
export function dequantizeFp4<D extends FloatDType = 'f32'>(
  quantized: QuantizedBlocks,
  count: number,
  options?: DequantizeOptions<D>,
): FloatArrayOf<D> {
  return dequantizeBlocks('fp4', FP4_CODEBOOK, quantized, count, options);
}
