// Tensors quantized part by part, with no more of the source in memory than a few parts. What comes out is what quantizeTensor
// gives.
import { elementCount, QloraError, type Task, type Tensor, type TensorInfo } from '@qlora/tensor';
import { packScales, scalesOf } from './blocks';
import type { QuantizedTensor, StrategyOptions } from './contract';
import { checkCount, cutOf, PART_VALUES, partsOf, sizesUpTo } from './cut';
import { partShape } from './part-shape';
import { type QuantizationConfig, quantizationConfig, quantizeTensor } from './quantize';
import { codecOf, strategyOf } from './registry';

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
