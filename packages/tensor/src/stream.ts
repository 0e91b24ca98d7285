// The contracts that carry models: named tensors in, named tensors out, one at a time. Neither side ever holds a
// whole model. Sources compose: a merge, a dequantization or a rename is a source over a source.

import type { DType, HostArray } from './dtype';
import { QloraError } from './error';
import { byteLength, elementCount, type Shape, type Tensor } from './tensor';

/** What is known of a tensor before it is read. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Bytes that all of some tensors take together. */
export function bytesOfTensors(tensors: Iterable<Pick<TensorInfo, 'dtype' | 'shape'>>): number {
  let bytes = 0;
  for (const { dtype, shape } of tensors) bytes += byteLength(dtype, shape);
  return bytes;
}

/** Named tensors, read one at a time. */
export interface TensorSource {
  /** All tensors, in the order in which reading them is cheapest. */
  readonly tensors: readonly TensorInfo[];
  /** Free text pairs that the container carries (`format: pt`). */
  readonly metadata: ReadonlyMap<string, string>;
  /** Where the tensors come from, for messages. */
  readonly label: string;
  /** @throws QloraError if no tensor has that name or its data cannot be read. */
  read(name: string): Promise<Tensor>;
  /**
   * `count` values from `start` on, in row-major order, as a tensor of one axis: for what need not be in memory whole. Left
   * out by sources that have nothing better than {@link read}; call {@link readRange}, which knows that.
   * @throws QloraError if the range is not inside the tensor, or as {@link read} does.
   */
  readRange?(name: string, start: number, count: number): Promise<Tensor>;
  close(): Promise<void>;
}

/**
 * Named tensors, written one at a time. A sink is opened with the list of what will come, since containers put their
 * directory first; `write` takes them in any order; `finish` makes the result appear under its final name, complete.
 */
export interface TensorSink {
  write(name: string, tensor: Tensor): Promise<void>;
  /**
   * A part of a tensor: values from `start` on, in row-major order. Parts may come in any order; the tensor is written when
   * they add up to it. Left out by sinks that take whole tensors only.
   */
  writeRange?(name: string, start: number, values: Tensor): Promise<void>;
  /** @throws QloraError if an announced tensor was not written. */
  finish(): Promise<void>;
  /** Removes what was written so far. Harmless after `finish`. */
  abort(): Promise<void>;
}

/** The tensor's entry, or an error that names close matches. */
export function findTensor(source: TensorSource, name: string): TensorInfo {
  const found = source.tensors.find((info) => info.name === name);
  if (found) return found;
  const some = source.tensors.slice(0, 4).map((info) => info.name);
  throw new QloraError({
    what: `no tensor named "${name}"`,
    where: source.label,
    fix: `it has ${source.tensors.length}: ${some.join(', ')}${source.tensors.length > 4 ? ', …' : ''}`,
  });
}

/** Throws unless `count` values from `start` on lie inside the tensor. */
export function checkElements(info: TensorInfo, start: number, count: number, label: string): void {
  const total = elementCount(info.shape);
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(count) && start >= 0 && count >= 0;
  if (whole && start + count <= total) return;
  throw new QloraError({
    what: `values ${start} to ${start + count} were asked for, it has ${total}`,
    where: [label, info.name],
  });
}

/**
 * `count` values of a tensor from `start` on, as a tensor of one axis. A source that cannot read parts is read whole, so
 * take large parts of it (see {@link TensorSource.readRange}).
 */
export async function readRange(
  source: TensorSource,
  name: string,
  start: number,
  count: number,
): Promise<Tensor> {
  if (source.readRange) return source.readRange(name, start, count);
  checkElements(findTensor(source, name), start, count, source.label);
  return flatRange(await source.read(name), start, count);
}

/** Values of a tensor that is in memory, from `start` on, as a tensor of one axis; a view. */
export function flatRange(tensor: Tensor, start: number, count: number): Tensor {
  return {
    dtype: tensor.dtype,
    shape: [count],
    data: tensor.data.subarray(start, start + count) as HostArray,
  };
}

/** A source over tensors that are in memory already. */
export function memorySource(
  tensors: Iterable<readonly [string, Tensor]>,
  options: { label?: string; metadata?: Iterable<readonly [string, string]> } = {},
): TensorSource {
  const map = new Map(tensors);
  const source: TensorSource = {
    label: options.label ?? 'memory',
    metadata: new Map(options.metadata ?? []),
    tensors: [...map].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    async read(name) {
      return map.get(name) ?? (findTensor(source, name) as never);
    },
    async readRange(name, start, count) {
      const tensor = await source.read(name);
      checkElements({ name, ...tensor }, start, count, source.label);
      // A copy: what is read belongs to who reads it, who may hand it to a thread.
      const { dtype, shape, data } = flatRange(tensor, start, count);
      return { dtype, shape, data: data.slice() as HostArray };
    },
    async close() {},
  };
  return source;
}

/**
 * The one loop of quantizing, merging and exporting: every tensor of a source to a sink that was opened for them.
 * On an error the sink is aborted, so nothing is left under a final name.
 *
 * @param onTensor called after each tensor, for progress.
 */
export async function pump(
  source: TensorSource,
  sink: TensorSink,
  onTensor?: (info: TensorInfo, index: number) => void,
): Promise<void> {
  try {
    for (const [index, info] of source.tensors.entries()) {
      await sink.write(info.name, await source.read(info.name));
      onTensor?.(info, index);
    }
    await sink.finish();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}
