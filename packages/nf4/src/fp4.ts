// FP4: one sign bit, two exponent bits, one fraction bit, as bitsandbytes has it (functional.py, get_4bit_type): the
// bit pattern is the code, values are divided by the largest, 12. Code 8 is a negative zero that stands for 0 too:
// values just above zero take it, because bitsandbytes puts the midpoint of its two zeros at 0.
import {
  type BlockOptions,
  codebookCodec,
  dequantizeBlocks,
  type QuantizedBlocks,
  quantizeBlocks,
} from './codebook';

/** The 16 values of FP4, by code. */
export const FP4_CODEBOOK: Float32Array = Float32Array.from(
  [0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3],
  (value) => value / 12,
);

/** The codec behind {@link quantizeFp4}, for strategies and containers. */
export const fp4 = /* @__PURE__ */ codebookCodec('fp4', FP4_CODEBOOK);

/** Quantizes values to FP4; see `quantizeNf4`. */
export function quantizeFp4(values: Float32Array, options?: BlockOptions): QuantizedBlocks {
  return quantizeBlocks(fp4, values, options);
}

/** The values that FP4 codes stand for; see `dequantizeNf4`. */
export function dequantizeFp4(
  quantized: QuantizedBlocks,
  count: number,
  options?: BlockOptions,
): Float32Array {
  return dequantizeBlocks(fp4, quantized, count, options);
}
