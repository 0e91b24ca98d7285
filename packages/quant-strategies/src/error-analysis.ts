// What quantization costs, in numbers: sums of squares that grow part by part, so that tensors of any size can be analysed
// and tensors added up to a model, and the figures that follow from them. All of it is plain data that JSON can hold.
import { flatRange, type Tensor, toFloat32 } from '@qlora/tensor';
import type { StrategyOptions } from './contract';
import { dequantizedParts } from './decoded-parts';
import { type InPartsOptions, quantizeInParts, type TensorParts } from './parts';
import { type QuantizationConfig, quantizationConfig, quantizedByteLength, quantizeTensor } from './quantize';

/** What is known of the errors of some values. Sums are in f64, in the order in which values came. */
export interface ErrorSums {
  /** Number of values. */
  readonly values: number;
  /** Bytes that they take quantized: codes, scales and zero points. */
  readonly bytes: number;
  /** Σ (x − x̂)². */
  readonly squaredError: number;
  /** Σ x². */
  readonly squaredValue: number;
  /** max |x − x̂|. */
  readonly maxError: number;
}

/** The figures of {@link ErrorSums}. */
export interface ErrorFigures {
  readonly values: number;
  readonly bytes: number;
  /** 8 · bytes / values; 0 for no values. */
  readonly bitsPerValue: number;
  /** Σ (x − x̂)² / values; 0 for no values. */
  readonly meanSquaredError: number;
  /** max |x − x̂|. */
  readonly maxError: number;
  /** √(Σ (x − x̂)² / Σ x²): 0 where all values come back exactly, zeros too. */
  readonly relativeError: number;
  /**
   * Signal to noise in decibels, 10 · log₁₀(Σ x² / Σ (x − x̂)²): Infinity where all values come back exactly, which
   * JSON writes as null.
   */
  readonly signalToNoise: number;
}

/** What {@link compareSchemes} compares: a configuration, and for per-channel the axis. */
export type Scheme = Partial<QuantizationConfig> & Pick<StrategyOptions, 'axis'>;

/** Errors of one tensor in one scheme. */
export interface SchemeErrors {
  /** The complete configuration. */
  readonly config: QuantizationConfig & Pick<StrategyOptions, 'axis'>;
  readonly sums: ErrorSums;
  readonly figures: ErrorFigures;
}

/** Sums of no values, to begin with. */
export function createErrorSums(): ErrorSums {
  return { values: 0, bytes: 0, squaredError: 0, squaredValue: 0, maxError: 0 };
}

/**
 * Sums with more values. The result does not depend on where a tensor is cut into parts, if they come in its order.
 *
 * @param original values as they were. @param restored the same ones from their codes.
 * @param bytes that these values take quantized.
 */
export function addErrors(
  sums: ErrorSums,
  original: Float32Array,
  restored: Float32Array,
  bytes = 0,
): ErrorSums {
  let { squaredError, squaredValue, maxError } = sums;
  for (let i = 0; i < original.length; i++) {
    const value = original[i]!;
    const error = value - restored[i]!;
    squaredError += error * error;
    squaredValue += value * value;
    const magnitude = Math.abs(error);
    if (magnitude > maxError) maxError = magnitude;
  }
  return {
    values: sums.values + original.length,
    bytes: sums.bytes + bytes,
    squaredError,
    squaredValue,
    // No comparison with NaN holds, and it must not go unseen.
    maxError: Number.isNaN(squaredError) ? Number.NaN : maxError,
  };
}

/** Sums of several tensors as one, of a model for instance: added in their order. */
export function combineErrors(all: Iterable<ErrorSums>): ErrorSums {
  let total = createErrorSums();
  for (const sums of all) {
    total = {
      values: total.values + sums.values,
      bytes: total.bytes + sums.bytes,
      squaredError: total.squaredError + sums.squaredError,
      squaredValue: total.squaredValue + sums.squaredValue,
      maxError: Math.max(total.maxError, sums.maxError),
    };
  }
  return total;
}

/** The figures that sums give. */
export function errorFigures({
  values,
  bytes,
  squaredError,
  squaredValue,
  maxError,
}: ErrorSums): ErrorFigures {
  const exact = squaredError === 0;
  return {
    values,
    bytes,
    bitsPerValue: values === 0 ? 0 : (8 * bytes) / values,
    meanSquaredError: values === 0 ? 0 : squaredError / values,
    maxError,
    relativeError: exact ? 0 : Math.sqrt(squaredError / squaredValue),
    signalToNoise: exact ? Number.POSITIVE_INFINITY : 10 * Math.log10(squaredValue / squaredError),
  };
}

/**
 * What each scheme makes of a tensor, in the order of the schemes. Beside the tensor there is one quantized one in memory,
 * and a part of its values.
 *
 * @throws QloraError as `quantizeTensor` does.
 * @example
 * const [nf4, fp4] = compareSchemes(weight, [{ scheme: 'nf4' }, { scheme: 'fp4' }]);
 * console.log(nf4.figures.signalToNoise - fp4.figures.signalToNoise, 'dB');
 */
export function compareSchemes(
  tensor: Tensor,
  schemes: readonly Scheme[],
  options: Pick<StrategyOptions, 'name'> = {},
): SchemeErrors[] {
  return schemes.map((scheme) => {
    const quantized = quantizeTensor(tensor, { ...scheme, ...options });
    let sums = { ...createErrorSums(), bytes: quantizedByteLength(quantized) };
    for (const { start, values } of dequantizedParts(quantized)) {
      sums = addErrors(sums, toFloat32(flatRange(tensor, start, values.length)), values);
    }
    return schemeErrors(scheme, sums);
  });
}

/**
 * The same for a tensor that is read in parts, twice for each scheme: once to be quantized, once to be compared. Never
 * more of it is in memory than the parts that {@link quantizeInParts} has.
 */
export async function compareSchemesInParts(
  source: TensorParts,
  schemes: readonly Scheme[],
  options: Pick<InPartsOptions, 'name' | 'partSize' | 'concurrency' | 'encode'> = {},
): Promise<SchemeErrors[]> {
  const all: SchemeErrors[] = [];
  for (const scheme of schemes) {
    const quantized = await quantizeInParts(source, { ...scheme, ...options });
    let sums = { ...createErrorSums(), bytes: quantizedByteLength(quantized) };
    for (const { start, values } of dequantizedParts(quantized, options.partSize)) {
      sums = addErrors(sums, toFloat32(await source.read(start, values.length)), values);
    }
    all.push(schemeErrors(scheme, sums));
  }
  return all;
}

function schemeErrors(scheme: Scheme, sums: ErrorSums): SchemeErrors {
  const { axis, ...config } = scheme;
  return {
    config: { ...quantizationConfig(config), ...(axis === undefined ? {} : { axis }) },
    sums,
    figures: errorFigures(sums),
  };
}
