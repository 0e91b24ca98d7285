// Double quantization (Dettmers et al. 2023, section 3): the scales of a quantized tensor, less their mean, quantized
// to 8 bits in blocks of 256. What the arithmetic is is written in double-quant-reference.ts; whole blocks go through the
// kernels of @qlora/kernels, which give the same bytes.
//
// The mean is summed in PyTorch's order, so that the offset is the same too (see mean.ts for where it can differ).
import { doubleDequantizeBlocks, doubleQuantizeBlocks } from '@qlora/kernels';
import { QloraError } from '@qlora/tensor';
import type { DoubleQuantized } from './contract';
import { codeTable, plainDoubleDequantize, plainDoubleQuantize } from './double-quant-reference';
import { createDynamicMap } from './dynamic-map';
import { mean } from './mean';

/** Scales that share a nested scale in bitsandbytes. */
export const NESTED_BLOCK_SIZE = 256;

// Below this many scales a call into WebAssembly costs more than it saves.
const SMALL = 256;

/** Options of {@link doubleQuantize}. */
export interface DoubleQuantOptions {
  /** Scales that share a nested scale: a power of two. Default 256. */
  readonly blockSize?: number;
}

/**
 * Quantizes block scales to 8 bits, with the codes, nested scales and offset of bitsandbytes.
 *
 * A decoded scale is off by at most 0.00705 of the largest |scale − mean| in its block (half the widest gap of the map,
 * 0.0140625, and half a bin) and one rounding to f32, 2^-24 of the decoded scale. That holds where the largest distance is
 * from 2^-126 to 2^128; below, where its reciprocal is no f32 number, codes can be those of -1 and 1, as in bitsandbytes.
 *
 * @param scales one number a block, as `quantizeNf4(...).absmax`; finite.
 * @throws QloraError for a block size that is no power of two, or scales that are not finite.
 * @example
 * const nested = doubleQuantize(absmax);
 * const restored = doubleDequantize(nested);
 */
export function doubleQuantize(scales: Float32Array, options: DoubleQuantOptions = {}): DoubleQuantized {
  const { blockSize = NESTED_BLOCK_SIZE } = options;
  if (!Number.isInteger(blockSize) || blockSize < 1 || (blockSize & (blockSize - 1)) !== 0) {
    throw new QloraError({
      what: `block size ${blockSize} is no power of two`,
      where: 'doubleQuantize',
      fix: 'use 256',
    });
  }
  const offset = mean(scales);
  if (!Number.isFinite(offset)) {
    throw new QloraError({
      what: 'a scale is not finite',
      where: 'doubleQuantize',
      fix: 'the tensor holds NaN or infinity',
    });
  }
  const codes = new Uint8Array(scales.length);
  const nestedAbsmax = new Float32Array(Math.ceil(scales.length / blockSize));
  let done = 0;
  if (
    scales.length >= SMALL &&
    doubleQuantizeBlocks(scales, blockSize, offset, codeTable(), codes, nestedAbsmax)
  ) {
    done = Math.floor(scales.length / blockSize);
  }
  const start = done * blockSize;
  plainDoubleQuantize(
    scales.subarray(start),
    blockSize,
    offset,
    codes.subarray(start),
    nestedAbsmax.subarray(done),
  );
  return { codes, nestedAbsmax, blockSize, offset, map: createDynamicMap() };
}

/**
 * The scales that codes stand for: map[code] × nestedAbsmax of the block + offset, each step in f32.
 * @throws QloraError if there are too few nested scales.
 */
export function doubleDequantize(quantized: DoubleQuantized): Float32Array {
  const { codes, nestedAbsmax, blockSize, offset, map } = quantized;
  if (nestedAbsmax.length < Math.ceil(codes.length / blockSize) || map.length !== 256) {
    throw new QloraError({
      what: `${nestedAbsmax.length} nested scales and a map of ${map.length} for ${codes.length} codes`,
      where: 'doubleDequantize',
      fix: `${Math.ceil(codes.length / blockSize)} and 256 are needed`,
    });
  }
  const scales = new Float32Array(codes.length);
  let done = 0;
  if (codes.length >= SMALL && doubleDequantizeBlocks(codes, nestedAbsmax, blockSize, offset, map, scales)) {
    done = Math.floor(codes.length / blockSize);
  }
  const start = done * blockSize;
  plainDoubleDequantize(
    codes.subarray(start),
    nestedAbsmax.subarray(done),
    blockSize,
    offset,
    map,
    scales.subarray(start),
  );
  return scales;
}
