// What is computed on a range, as pure functions of arrays: so that a worker thread can do it as well as the caller. A task
// has a name, because a function cannot be sent to a thread; workers look it up in `TASKS`.
import { encodeTask } from '@qlora/gguf-writer';
import { type AdapterConfig, adapterMethods, type LinearInfo } from '@qlora/peft';
import { type EncodedPart, encodePart, type PartOptions, quantizeTensor } from '@qlora/quant-strategies';
import {
  cast,
  type DType,
  fromFloat32,
  QloraError,
  requireFinite,
  type Task,
  type Tensor,
  toFloat32,
} from '@qlora/tensor';
import { measureTask } from './analyze-measure';

/** Where a range lies, for messages. */
export interface RangePlace {
  /** The file or folder, and the tensor. */
  readonly where: readonly string[];
  /** Index of the first value. */
  readonly start: number;
}

/** Finite values in another type: refused where they are not, or no longer. */
export const castTask: Task<{ values: Tensor; dtype: DType; place: RangePlace }, Tensor> = {
  name: 'cast',
  run({ values, dtype, place }) {
    requireFinite(values, place.where, place.start);
    const result = cast(values, dtype);
    if (result !== values) requireFinite(result, place.where, place.start);
    return result;
  },
};

/** Codes and plain scales of whole blocks (the last one of a tensor may be short). */
export const quantizeTask: Task<
  { values: Tensor; scheme: string; blockSize: number; place: RangePlace },
  { codes: Uint8Array; absmax: Float32Array }
> = {
  name: 'quantize',
  run({ values, scheme, blockSize, place }) {
    requireFinite(values, place.where, place.start);
    const { codes, scales } = quantizeTensor(values, {
      scheme,
      strategy: 'blockwise',
      blockSize,
      doubleQuant: false,
      name: place.where.join(': '),
    });
    if (scales.kind !== 'plain') throw new Error('scales were asked for as they are');
    return { codes, absmax: scales.values };
  },
};

/** A part of a tensor with any strategy: `encode` of `quantizeInParts`, as a task. */
export const encodePartTask: Task<{ part: Tensor; options: PartOptions }, EncodedPart> = {
  name: 'encode-part',
  run: ({ part, options }) => encodePart(part, options),
};

/** An adapter's part in the merge of some rows of a weight. */
export interface MergeInput {
  /** Rows of the base weight, flat. */
  readonly values: Tensor;
  readonly dtype: DType;
  readonly place: RangePlace;
  readonly peftType: string;
  readonly config: AdapterConfig;
  readonly layer: LinearInfo;
  /** The adapter's tensors of this layer. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Rows of the weight that `values` are. */
  readonly rows: { readonly start: number; readonly count: number };
}

/** Rows of W + ΔW, added in f32. */
export const mergeTask: Task<MergeInput, Tensor> = {
  name: 'merge',
  run({ values, dtype, place, peftType, config, layer, tensors, rows }) {
    const method = adapterMethods.get(peftType);
    if (!method) throw new QloraError({ what: `no adapter method "${peftType}"` });
    requireFinite(values, place.where, place.start);
    const merged = method.deltaWeight(config, layer, tensors, rows);
    const base = toFloat32(values);
    for (let i = 0; i < merged.length; i++) merged[i]! += base[i]!;
    const result = fromFloat32(dtype, values.shape, merged);
    requireFinite(result, place.where, place.start);
    return result;
  },
};

/** Every task, by its name. */
export const TASKS: ReadonlyMap<string, Task<never, unknown>> = new Map(
  [castTask, quantizeTask, encodePartTask, measureTask, mergeTask, encodeTask].map((task) => [
    task.name,
    task as Task<never, unknown>,
  ]),
);
