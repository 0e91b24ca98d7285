// The double quantization of the crate qlora-rs (version 1.0.5, src/quantization.rs, double_quantize_scales and
// dequantize_double_scales): one step for all scales, the largest over 127, and codes that count steps from 128 up. QNAT
// files of the crate hold scales so. It is simpler than bitsandbytes' (double-quant.ts), and coarser: the mean is not taken
// off, and one large scale makes the step large for all.
//
// Odd, and kept: a scale is cut down to a whole number of steps, not rounded. Not kept: where all scales are zero the crate
// writes codes that it reads as -128; here they are read as 0, by the crate too.
import { QloraError } from '@qlora/tensor';

/** Scales in 8 bits, as the crate qlora-rs has them: value = (code − 128) × factor of the block. */
export interface SimpleDoubleQuantized {
  /** One code a scale. */
  readonly codes: Uint8Array;
  /** One step a block of codes. */
  readonly factors: Float32Array;
  /** Codes that share a factor. The crate has all of a tensor share one. */
  readonly blockSize: number;
}

/** Options of {@link simpleDoubleQuantize}. */
export interface SimpleDoubleQuantOptions {
  /** Scales that share a factor: a positive integer. Default all of them, which is what the crate reads and writes. */
  readonly blockSize?: number;
}

// Steps between 0 and the largest scale, and the code of 0.
const STEPS = 127;
const ZERO = 128;

/**
 * Quantizes block scales to 8 bits, with the codes and factors of the crate qlora-rs.
 *
 * A decoded scale is off by at most 0.0079 of the largest magnitude in its block, a whole step (1/127) and a rounding, and it
 * is the smaller of the two but for roundings: scales below a step become 0. That holds where the largest is at least
 * 1.5e-36; below, the step is no normal f32 number and errors grow, up to the scale itself.
 *
 * @param scales one number a block, as `quantizeNf4(...).absmax`; finite.
 * @throws QloraError for a block size that is no positive integer, or scales that are not finite.
 * @example
 * const { codes, factors } = simpleDoubleQuantize(absmax);
 */
export function simpleDoubleQuantize(
  scales: Float32Array,
  options: SimpleDoubleQuantOptions = {},
): SimpleDoubleQuantized {
  const { blockSize = Math.max(1, scales.length) } = options;
  checkBlockSize(blockSize, 'simpleDoubleQuantize');
  const codes = new Uint8Array(scales.length);
  const factors = new Float32Array(Math.ceil(scales.length / blockSize));
  for (let block = 0; block < factors.length; block++) {
    const start = block * blockSize;
    const end = Math.min(start + blockSize, scales.length);
    let largest = 0;
    for (let i = start; i < end; i++) {
      const magnitude = Math.abs(scales[i]!);
      if (!Number.isFinite(magnitude)) {
        throw new QloraError({
          what: `scale ${i} is ${scales[i]}`,
          where: 'simpleDoubleQuantize',
          fix: 'the tensor holds NaN or infinity',
        });
      }
      if (magnitude > largest) largest = magnitude;
    }
    if (largest === 0) {
      factors[block] = 1;
      codes.fill(ZERO, start, end);
      continue;
    }
    const factor = Math.fround(largest / STEPS);
    factors[block] = factor;
    for (let i = start; i < end; i++) {
      const steps = Math.fround(Math.fround(scales[i]! / factor) + ZERO);
      // A factor that is 0 (of scales below 9e-44) makes NaN of 0, which has the code 0, as every NaN in Rust.
      codes[i] = Math.trunc(Math.min(255, Math.max(0, steps)));
    }
  }
  return { codes, factors, blockSize };
}

/**
 * The scales that codes stand for: (code − 128) × factor of the block, in f32.
 * @throws QloraError if there are too few factors.
 */
export function simpleDoubleDequantize(quantized: SimpleDoubleQuantized): Float32Array {
  const { codes, factors, blockSize } = quantized;
  checkBlockSize(blockSize, 'simpleDoubleDequantize');
  const blocks = Math.ceil(codes.length / blockSize);
  if (factors.length < blocks) {
    throw new QloraError({
      what: `${factors.length} factors for ${codes.length} codes in blocks of ${blockSize}`,
      where: 'simpleDoubleDequantize',
      fix: `${blocks} are needed`,
    });
  }
  const scales = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) scales[i] = (codes[i]! - ZERO) * factors[Math.floor(i / blockSize)]!;
  return scales;
}

function checkBlockSize(blockSize: number, where: string): void {
  if (Number.isSafeInteger(blockSize) && blockSize > 0) return;
  throw new QloraError({ what: `block size ${blockSize} is no positive integer`, where, fix: 'use 256' });
}
