// What is computed on a range, as pure functions of arrays: so that a worker thread can do it as well as the caller. A task
// has a name, because a function cannot be sent to a thread; workers look it up in `TASKS`.
import { encodeTask } from '@qlora/gguf-writer';
import { type AdapterConfig, adapterMethods, type LinearInfo, mergedRows, type RowRange } from '@qlora/peft';
import { encodePartTask } from '@qlora/quant-strategies';
import {
  cast,
  type DType,
  fromFloat32,
  QloraError,
  requireFinite,
  type Task,
  type Tensor,
} from '@qlora/tensor';
import { measureTask } from './analyze-measure';
import type { RangePlace } from './range-place';

/** Values in another type: refused where they are not finite, or no longer. */
export const castTask: Task<{ values: Tensor; dtype: DType; place: RangePlace }, Tensor> = {
  name: 'cast',
  run({ values, dtype, place }) {
    const result = cast(values, dtype);
    requireFinite(result, place.where, place.start);
    return result;
  },
};

// Quantizing a part is a task of the package that does it.
export { encodePartTask };

/** What an adapter has for one layer. */
export interface LayerChange {
  readonly peftType: string;
  readonly config: AdapterConfig;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** The merge of some rows of a weight. */
export interface MergeInput {
  /** Rows of the base weight, flat. */
  readonly values: Tensor;
  readonly dtype: DType;
  readonly place: RangePlace;
  readonly layer: LinearInfo;
  /** Added in this order. */
  readonly changes: readonly LayerChange[];
  /** Rows of the weight that `values` are. */
  readonly rows: RowRange;
}

/** Rows of W + ΔW, added in f32. */
export const mergeTask: Task<MergeInput, Tensor> = {
  name: 'merge',
  run({ values, dtype, place, layer, changes, rows }) {
    const adapters = changes.map(({ peftType, config, tensors }) => {
      const method = adapterMethods.get(peftType);
      if (!method) throw new QloraError({ what: `no adapter method "${peftType}"` });
      return { method, config, tensors };
    });
    const merged = mergedRows(values, layer, adapters, rows);
    const result = fromFloat32(dtype, values.shape, merged);
    requireFinite(result, place.where, place.start);
    return result;
  },
};

/** Every task, by its name. */
export const TASKS: ReadonlyMap<string, Task<never, unknown>> = new Map(
  [castTask, encodePartTask, measureTask, mergeTask, encodeTask].map((task) => [
    task.name,
    task as Task<never, unknown>,
  ]),
);
