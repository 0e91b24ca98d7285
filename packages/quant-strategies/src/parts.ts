// Tensors part by part: quantized with no more of the source in memory than a few parts, cut where their strategy says that
// they can be (`unit`), and decoded the same way. What comes out is what quantizeTensor and dequantizeTensor give.
import {
  elementCount,
  QloraError,
  type Shape,
  type Task,
  type Tensor,
  type TensorInfo,
  zeros,
} from '@qlora/tensor';
import { packScales, scalesOf } from './blocks';
import type { Codec, QuantizedTensor, QuantStrategy, StrategyOptions } from './contract';
import { partShape } from './part-shape';
import { dequantizeTensor, type QuantizationConfig, quantizationConfig, quantizeTensor } from './quantize';
import { codecOf, strategyOf } from './registry';

/** Values of a part unless another size is asked for: 16 MiB of f32. */
export const PART_VALUES = 4 * 1024 * 1024;

/** A tensor that can be read in parts. */
export interface TensorParts extends Pick<TensorInfo, 'shape' | 'dtype'> {
  /** `count` values from `start` on, in row-major order, of the dtype; the shape of what comes back does not matter. */
  read(start: number, count: number): Promise<Tensor>;
}

/** How a part is quantized: `quantizeTensor(part, options)`. Plain data that can be sent to a thread. */
export type PartOptions = QuantizationConfig & Pick<StrategyOptions, 'axis' | 'name' | 'start'>;

/** What quantizing a part gives: codes, scales in f32, and zero points if the strategy has them. */
export interface EncodedPart {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly zeroPoints?: Float32Array;
}

/** What {@link quantizeInParts} can be told, beside what `quantizeTensor` can. */
export interface InPartsOptions extends Partial<QuantizationConfig>, Pick<StrategyOptions, 'axis' | 'name'> {
  /** Values of a part, at most; rounded down to whole units, but not to none. Default {@link PART_VALUES}. */
  readonly partSize?: number;
  /** Parts that are read and quantized at the same time. Default 1. */
  readonly concurrency?: number;
  /** Quantizes a part, on another thread for instance. Default {@link encodePart}, here. */
  readonly encode?: (part: Tensor, options: PartOptions) => Promise<EncodedPart> | EncodedPart;
}

/** Quantizes a part, scales not: the default of `encode`, and what a thread that was sent a part calls. */
export function encodePart(part: Tensor, options: PartOptions): EncodedPart {
  const { codes, scales, zeroPoints } = quantizeTensor(part, { ...options, doubleQuant: false });
  return { codes, scales: scalesOf({ scales }), ...(zeroPoints ? { zeroPoints } : {}) };
}

/** {@link encodePart} as a task. */
export const encodePartTask: Task<{ part: Tensor; options: PartOptions }, EncodedPart> = {
  name: 'encode-part',
  run: ({ part, options }) => encodePart(part, options),
};

/**
 * Quantizes a tensor with no more in memory than `concurrency` parts of it and the result. The bytes are those of
 * `quantizeTensor` on the whole, whatever the size of the parts and the order in which they are done. A tensor that its
 * strategy cannot cut (per-channel on another axis than the first) is read whole and quantized here.
 *
 * @throws QloraError as `quantizeTensor` does, with indices in the whole tensor; of several parts that fail, the error of
 * the first. No part is being read any more when it is thrown.
 * @example
 * const weight = { shape, dtype, read: (start, count) => readRange(source, name, start, count) };
 * const quantized = await quantizeInParts(weight, { scheme: 'nf4', name });
 */
export async function quantizeInParts(
  source: TensorParts,
  options: InPartsOptions = {},
): Promise<QuantizedTensor> {
  const { axis, name, partSize = PART_VALUES, concurrency = 1, encode = encodePart, ...rest } = options;
  checkCount('part size', partSize);
  checkCount('concurrency', concurrency);
  const { doubleQuant, ...config } = quantizationConfig(rest);
  const partOptions: PartOptions = {
    ...{ scheme: config.scheme, strategy: config.strategy, blockSize: config.blockSize, doubleQuant: false },
    ...(axis === undefined ? {} : { axis }),
    ...(name === undefined ? {} : { name }),
  };
  const [strategy, codec] = [strategyOf(config.strategy), codecOf(config.scheme)];
  const { dtype } = source;
  const shape = [...source.shape];
  const cut = cutOf(shape, strategy, codec, partOptions);
  if (!cut) {
    const { data } = await readPart(source, 0, elementCount(shape), name);
    return quantizeTensor({ dtype, shape, data }, { ...partOptions, doubleQuant });
  }

  const codes = new Uint8Array(cut.sizes.codes);
  const scales = new Float32Array(cut.sizes.scales);
  const zeroPoints = new Float32Array(cut.sizes.zeroPoints);
  await eachInOrder(partsOf(cut, partSize), concurrency, async (start, count) => {
    const { data } = await readPart(source, start, count, name);
    const part: Tensor = { dtype, shape: partShape(shape, count), data };
    const encoded = await encode(part, { ...partOptions, start });
    const [from, to] = [sizesUpTo(cut, start), sizesUpTo(cut, start + count)];
    const where = [name, `part from value ${start} on`];
    place(codes, encoded.codes, from.codes, to.codes, [...where, 'codes']);
    place(scales, encoded.scales, from.scales, to.scales, [...where, 'scales']);
    const zeros = encoded.zeroPoints ?? new Float32Array();
    place(zeroPoints, zeros, from.zeroPoints, to.zeroPoints, [...where, 'zero points']);
  });
  return {
    ...cut.said,
    ...{ shape, dtype, codes, scales: packScales(scales, doubleQuant) },
    ...(cut.hasZeroPoints ? { zeroPoints } : {}),
  };
}

/**
 * The values that a quantized tensor stands for, in parts that follow one another: those of `dequantizeTensor`, of which
 * only a part is in memory. One part, if the strategy cannot cut the tensor.
 *
 * @param partSize values of a part, at most; rounded down to whole units, but not to none.
 * @throws QloraError as `dequantizeTensor` does, and for block sizes with which nothing can be quantized here.
 */
export function* dequantizedParts(
  quantized: QuantizedTensor,
  partSize = PART_VALUES,
): Generator<{ readonly start: number; readonly values: Float32Array }> {
  checkCount('part size', partSize);
  const { shape, blockSize, axis } = quantized;
  const options = { blockSize, ...(axis === undefined ? {} : { axis }) };
  const cut = cutOf(shape, strategyOf(quantized.strategy), codecOf(quantized.scheme), options);
  const scales = scalesOf(quantized);
  if (!cut || !hasSizes(quantized, scales, cut)) {
    yield { start: 0, values: dequantizeTensor(quantized) };
    return;
  }
  for (const { start, count } of partsOf(cut, partSize))
    yield { start, values: dequantizeTensor(partOf(quantized, scales, cut, start, count)) };
}

/**
 * `count` values of a quantized tensor from `start` on: those of `dequantizeTensor`, of which only the units that hold them
 * are decoded. A tensor that its strategy cannot cut is decoded whole.
 * @throws QloraError as `dequantizeTensor` does.
 */
export function dequantizeRange(quantized: QuantizedTensor, start: number, count: number): Float32Array {
  const { shape, blockSize, axis } = quantized;
  const options = { blockSize, ...(axis === undefined ? {} : { axis }) };
  const cut = cutOf(shape, strategyOf(quantized.strategy), codecOf(quantized.scheme), options);
  const scales = scalesOf(quantized);
  if (!cut || !hasSizes(quantized, scales, cut))
    return dequantizeTensor(quantized).slice(start, start + count);
  if (count === 0) return new Float32Array(0);
  const first = cut.unit * Math.floor(start / cut.unit);
  const end = Math.min(cut.count, cut.unit * Math.ceil((start + count) / cut.unit));
  const values = dequantizeTensor(partOf(quantized, scales, cut, first, end - first));
  return values.subarray(start - first, start - first + count);
}

/** Whether there is as much of everything as there should be. Where there is not, the strategy says what is wrong. */
function hasSizes({ codes, zeroPoints }: QuantizedTensor, scales: Float32Array, { sizes }: Cut): boolean {
  return (
    codes.length === sizes.codes &&
    scales.length === sizes.scales &&
    (zeroPoints?.length ?? 0) === sizes.zeroPoints
  );
}

/** Some units of a quantized tensor, as a tensor. */
function partOf(
  quantized: QuantizedTensor,
  scales: Float32Array,
  cut: Cut,
  start: number,
  count: number,
): QuantizedTensor {
  const [from, to] = [sizesUpTo(cut, start), sizesUpTo(cut, start + count)];
  const zeroPoints = quantized.zeroPoints?.subarray(from.zeroPoints, to.zeroPoints);
  return {
    ...quantized,
    shape: partShape(quantized.shape, count),
    codes: quantized.codes.subarray(from.codes, to.codes),
    scales: { kind: 'plain', values: scales.subarray(from.scales, to.scales) },
    ...(zeroPoints ? { zeroPoints } : {}),
  };
}

interface Sizes {
  readonly codes: number;
  readonly scales: number;
  readonly zeroPoints: number;
}

/** How a tensor is cut. */
interface Cut {
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
function cutOf(
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
function sizesUpTo({ count, unit, unitSizes, sizes }: Cut, end: number): Sizes {
  if (end === count) return sizes;
  const units = end / unit;
  return {
    codes: units * unitSizes.codes,
    scales: units * unitSizes.scales,
    zeroPoints: units * unitSizes.zeroPoints,
  };
}

/** Parts in order; an empty tensor has one, so that it is checked like any other. */
function partsOf({ count, unit }: Cut, partSize: number): { start: number; count: number }[] {
  const length = unit * Math.max(1, Math.floor(partSize / unit));
  return Array.from({ length: Math.max(1, Math.ceil(count / length)) }, (_, i) => ({
    start: i * length,
    count: Math.min(length, count - i * length),
  }));
}

async function readPart(
  source: TensorParts,
  start: number,
  count: number,
  name: string | undefined,
): Promise<Tensor> {
  const part = await source.read(start, count);
  if (part.dtype === source.dtype && part.data.length === count) return part;
  throw new QloraError({
    what: `${part.data.length} ${part.dtype} values came for ${count} ${source.dtype} ones from value ${start} on`,
    where: name,
  });
}

function place<T extends Uint8Array | Float32Array>(
  whole: T,
  part: T,
  from: number,
  to: number,
  where: readonly (string | undefined)[],
): void {
  if (part.length !== to - from)
    throw new QloraError({ what: `there are ${part.length}`, where, fix: `${to - from} are needed` });
  whole.set(part, from);
}

/** Calls `body` for each part, begun in their order, `concurrency` at a time. Throws the error of the first that fails. */
async function eachInOrder(
  parts: readonly { readonly start: number; readonly count: number }[],
  concurrency: number,
  body: (start: number, count: number) => Promise<void>,
): Promise<void> {
  const failures = new Map<number, unknown>();
  let next = 0;
  const work = async () => {
    while (next < parts.length && failures.size === 0) {
      const index = next++;
      const { start, count } = parts[index]!;
      try {
        await body(start, count);
      } catch (error) {
        failures.set(index, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, parts.length) }, work));
  if (failures.size > 0) throw failures.get(Math.min(...failures.keys()));
}

function checkCount(what: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new QloraError({ what: `${what} ${value} is not supported`, fix: 'use a whole number of 1 or more' });
}
