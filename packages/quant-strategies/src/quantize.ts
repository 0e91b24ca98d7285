// The front of the package: quantize a tensor by the names of a scheme and a strategy, and back.
import { type DType, fromFloat32, QloraError, type Tensor } from '@qlora/tensor';
import type { QuantizedTensor, StrategyOptions } from './contract';
import { codecOf, strategyOf } from './registry';

/** How weights are quantized. */
export interface QuantizationConfig {
  /** Codec: `nf4` or `fp4`. Default `nf4`. */
  readonly scheme: string;
  /** Layout of scales: `blockwise`, `per-channel` or `zero-point`. Default `blockwise`, the only one that bitsandbytes has. */
  readonly strategy: string;
  /** Values a scale: a power of two from 32 to 4096. Default 64. */
  readonly blockSize: number;
  /** Quantize the scales to 8 bits too: 0.13 instead of 0.5 bits a value at block size 64. Default true. */
  readonly doubleQuant: boolean;
}

/** The setting of the QLoRA paper. */
export const defaultQuantizationConfig: QuantizationConfig = {
  scheme: 'nf4',
  strategy: 'blockwise',
  blockSize: 64,
  doubleQuant: true,
};

/**
 * A complete configuration from a part of one.
 * @throws QloraError naming the field that is wrong.
 */
export function quantizationConfig(options: Partial<QuantizationConfig> = {}): QuantizationConfig {
  const config = { ...defaultQuantizationConfig, ...options };
  codecOf(config.scheme);
  strategyOf(config.strategy);
  const { blockSize } = config;
  if (
    !Number.isInteger(blockSize) ||
    blockSize < 32 ||
    blockSize > 4096 ||
    (blockSize & (blockSize - 1)) !== 0
  ) {
    throw new QloraError({
      what: `block size ${blockSize} is not supported`,
      where: 'quantization configuration',
      fix: 'use 32, 64, 128, … or 4096',
    });
  }
  return config;
}

/**
 * Quantizes a tensor of any shape.
 *
 * @throws QloraError for unknown names, a wrong block size, or values that are not finite (naming `options.name`).
 * @example
 * const quantized = quantizeTensor(tensor('f32', [out, in], weights), { scheme: 'nf4', blockSize: 64 });
 */
export function quantizeTensor(
  tensor: Tensor,
  options: Partial<QuantizationConfig> & Pick<StrategyOptions, 'axis' | 'name' | 'start'> = {},
): QuantizedTensor {
  const config = quantizationConfig(options);
  return strategyOf(config.strategy).quantize(tensor, codecOf(config.scheme), { ...options, ...config });
}

/** The values that a quantized tensor stands for, in f32, row-major. */
export function dequantizeTensor(quantized: QuantizedTensor): Float32Array {
  return strategyOf(quantized.strategy).dequantize(quantized, codecOf(quantized.scheme));
}

/** The same as a tensor, of the type that it was quantized from unless another is asked for. */
export function dequantizeToTensor(quantized: QuantizedTensor, dtype: DType = quantized.dtype): Tensor {
  return fromFloat32(dtype, quantized.shape, dequantizeTensor(quantized));
}

/** Bytes that a quantized tensor takes: codes, scales and zero points. */
export function quantizedByteLength(quantized: QuantizedTensor): number {
  const { codes, scales, zeroPoints } = quantized;
  const scaleBytes =
    scales.kind === 'plain'
      ? scales.values.byteLength
      : scales.quantized.codes.byteLength + scales.quantized.nestedAbsmax.byteLength + 4;
  return codes.byteLength + scaleBytes + (zeroPoints?.byteLength ?? 0);
}
