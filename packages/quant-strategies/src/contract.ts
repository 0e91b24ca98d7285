// The contracts of quantization. A codec knows a codebook; a strategy lays scales over a tensor and calls a codec; a
// QuantizedTensor is what comes out, and what containers, layers and backends take.
import type { DoubleQuantized } from '@qlora/double-quant';
import type { DType, Shape, Tensor } from '@qlora/tensor';

/**
 * A 4-bit codebook codec. Values are grouped in blocks of `blockSize` consecutive elements (the last one may be
 * short), each with one scale (its absmax): code = nearest codebook entry to value / scale. `codecCases` of
 * `@qlora/quant-strategies/testing` holds a codec to all that is said here.
 */
export interface Codec {
  /** The scheme's name in files and options: `nf4`. */
  readonly name: string;
  /** Bits that one code takes, scales not counted. */
  readonly bitsPerValue: number;
  /** The values that codes stand for, in [-1, 1], by code. */
  readonly codebook: Float32Array;
  /** Largest magnitude of each block: the scales that {@link encode} expects. */
  absmax(values: Float32Array, blockSize: number): Float32Array;
  /** Codes of the values, two to a byte, the first in the high nibble; an odd count is padded with the code of 0. */
  encode(values: Float32Array, scales: Float32Array, blockSize: number): Uint8Array;
  /**
   * The values that codes stand for: codebook[code] × scale.
   * @throws QloraError if there are too few codes or scales for `count` values.
   */
  decode(codes: Uint8Array, scales: Float32Array, blockSize: number, count: number): Float32Array;
  /**
   * Scales and codes of a whole tensor, the same as {@link absmax} and {@link encode} of its values in f32, for a codec that
   * has a faster way than one after the other. The scale of a block that holds NaN or infinity must be NaN or infinite.
   * @returns undefined if it has none for this tensor.
   */
  quantize?(source: Tensor, blockSize: number): { codes: Uint8Array; absmax: Float32Array } | undefined;
}

/** Block scales: as they are, or quantized to 8 bits themselves. */
export type Scales =
  | { readonly kind: 'plain'; readonly values: Float32Array }
  | { readonly kind: 'double'; readonly quantized: DoubleQuantized };

/** A tensor in 4 bits. The fields say all that is needed to decode it. */
export interface QuantizedTensor {
  /** Name of the codec: `nf4`, `fp4`. */
  readonly scheme: string;
  /** Name of the strategy: `blockwise`, `per-channel`, `zero-point`. */
  readonly strategy: string;
  /** Shape of the tensor that was quantized. */
  readonly shape: Shape;
  /** The float type that it was quantized from and decodes to by default. */
  readonly dtype: DType;
  /** Elements that share a scale, over the tensor flattened in row-major order (per-channel: over the moved axis). */
  readonly blockSize: number;
  /** The axis whose every index has scales of its own; only per-channel has one. */
  readonly axis?: number;
  /** Packed codes. */
  readonly codes: Uint8Array;
  readonly scales: Scales;
  /** One offset a block, added after scaling; only zero-point has them. */
  readonly zeroPoints?: Float32Array;
}

/** What a strategy can be told. */
export interface StrategyOptions {
  /** Elements a scale: a power of two, 32 to 4096. Default 64. */
  readonly blockSize?: number;
  /** Quantize the scales to 8 bits too. Default true. */
  readonly doubleQuant?: boolean;
  /** Axis with scales of its own, for per-channel. Default 0. */
  readonly axis?: number;
  /** The tensor's name, for messages. */
  readonly name?: string;
  /** Index of the first value, for messages, where the tensor is a part of a larger one. Default 0. */
  readonly start?: number;
}

/**
 * Lays scales over a tensor and calls a codec. `strategyCases` of `@qlora/quant-strategies/testing` holds a strategy to
 * all that is said here.
 */
export interface QuantStrategy {
  readonly name: string;
  /**
   * @throws QloraError for values that are not finite, with the tensor's name and the value's index, and for tensors of
   * integers.
   */
  quantize(tensor: Tensor, codec: Codec, options?: StrategyOptions): QuantizedTensor;
  /**
   * f32 values in the tensor's row-major order.
   * @throws QloraError if codes, scales or zero points are not as many as the shape needs.
   */
  dequantize(quantized: QuantizedTensor, codec: Codec): Float32Array;
  /**
   * The number of consecutive row-major values after which a tensor of this shape can be cut, again and again: the parts
   * quantized one by one, without double quantization, and put one after the other (codes, scales, zero points) are the
   * tensor quantized whole, and all else that a part says of itself the whole says too. Codes of a unit fill whole bytes.
   *
   * A part of whole rows of the first axis is quantized as [rows, …the other axes], any other part as one axis.
   * @returns undefined for a tensor that cannot be cut; a strategy without this method cuts none.
   */
  unit?(shape: Shape, options?: StrategyOptions): number | undefined;
}
