// Where a tensor can be cut into parts that are quantized, and decoded, each by itself: at multiples of its strategy's `unit`.
import { elementCount, QloraError, type Shape, zeros } from '@qlora/tensor';
import type { Codec, QuantizedTensor, QuantStrategy, StrategyOptions } from './contract';
import { partShape } from './part-shape';

/** Values of a part unless another size is asked for: 16 MiB of f32. */
export const PART_VALUES = 4 * 1024 * 1024;

/** How many bytes of codes, scales and zero points. */
export interface Sizes {
  readonly codes: number;
  readonly scales: number;
  readonly zeroPoints: number;
}

/** How a tensor is cut. */
export interface Cut {
  readonly count: number;
  readonly unit: number;
  /** What a unit takes, and what the whole does. */
  readonly unitSizes: Sizes;
  readonly sizes: Sizes;
  readonly hasZeroPoints: boolean;
  /** What every part says of itself. */
  readonly said: Pick<QuantizedTensor, 'scheme' | 'strategy' | 'blockSize' | 'axis'>;
}

/** The sizes of a unit and of what is left at the end are seen on zeros. Undefined for what cannot be cut. */
export function cutOf(
  shape: Shape,
  strategy: QuantStrategy,
  codec: Codec,
  options: StrategyOptions,
): Cut | undefined {
  const count = elementCount(shape);
  const unit = strategy.unit?.(shape, options);
  if (unit === undefined) return undefined;
  const quantizeZeros = (length: number) =>
    strategy.quantize({ dtype: 'f32', shape: partShape(shape, length), data: zeros('f32', length) }, codec, {
      ...options,
      doubleQuant: false,
    });
  const { codes, scales, zeroPoints, shape: _, dtype: __, ...said } = quantizeZeros(unit);
  const unitSizes = sizesOf({ codes, scales, ...(zeroPoints ? { zeroPoints } : {}) });
  const units = Math.floor(count / unit);
  const left = sizesOf(quantizeZeros(count - units * unit));
  const sizes = {
    codes: units * unitSizes.codes + left.codes,
    scales: units * unitSizes.scales + left.scales,
    zeroPoints: units * unitSizes.zeroPoints + left.zeroPoints,
  };
  return { count, unit, unitSizes, sizes, hasZeroPoints: zeroPoints !== undefined, said };
}

function sizesOf(quantized: Pick<QuantizedTensor, 'codes' | 'scales' | 'zeroPoints'>): Sizes {
  const { codes, scales, zeroPoints } = quantized;
  const blocks = scales.kind === 'plain' ? scales.values.length : scales.quantized.codes.length;
  return { codes: codes.length, scales: blocks, zeroPoints: zeroPoints?.length ?? 0 };
}

/** What the values before `end`, a multiple of the unit or all of them, take. */
export function sizesUpTo({ count, unit, unitSizes, sizes }: Cut, end: number): Sizes {
  if (end === count) return sizes;
  const units = end / unit;
  return {
    codes: units * unitSizes.codes,
    scales: units * unitSizes.scales,
    zeroPoints: units * unitSizes.zeroPoints,
  };
}

/** Parts in order; an empty tensor has one, so that it is checked like any other. */
export function partsOf({ count, unit }: Cut, partSize: number): { start: number; count: number }[] {
  const length = unit * Math.max(1, Math.floor(partSize / unit));
  return Array.from({ length: Math.max(1, Math.ceil(count / length)) }, (_, i) => ({
    start: i * length,
    count: Math.min(length, count - i * length),
  }));
}

/** Throws unless a number is a whole one from 1 on. */
export function checkCount(what: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new QloraError({ what: `${what} ${value} is not supported`, fix: 'use a whole number of 1 or more' });
}
