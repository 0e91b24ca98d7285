// What goes in and what comes out: values in three float types, codes and scales of blocks, and the checks of both.
import { QloraError, type Tensor } from '@qlora/tensor';

/** The float types that values come in and are decoded to. f16 and bf16 are raw bits in a Uint16Array. */
export type FloatDType = 'f32' | 'f16' | 'bf16';

/** The host array of values of a {@link FloatDType}. */
export type FloatArrayOf<D extends FloatDType> = D extends 'f32' ? Float32Array : Uint16Array;

/**
 * Values to quantize: f32 as they are, or a float tensor of any shape, of which only type and data are read:
 * `{ dtype: 'bf16', data: bits }` will do.
 */
export type FloatValues = Float32Array | Pick<Tensor, 'dtype' | 'data'>;

/** Codes and scales of a quantized array. */
export interface QuantizedBlocks {
  /** ⌈count / 2⌉ bytes, the first value in the high nibble. */
  readonly codes: Uint8Array;
  /** ⌈count / blockSize⌉ scales. */
  readonly absmax: Float32Array;
}

/** Options of quantizing. */
export interface BlockOptions {
  /** Values that share a scale: a power of two from 32 to 4096. Default 64. */
  readonly blockSize?: number;
}

/** Options of dequantizing. */
export interface DequantizeOptions<D extends FloatDType = FloatDType> extends BlockOptions {
  /** Type of the values. Default f32; f16 and bf16 are that rounded once, to nearest, ties to even. */
  readonly dtype?: D;
}

/** bitsandbytes' default. */
export const DEFAULT_BLOCK_SIZE = 64;

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
export function checkCounts(
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
