// A weight with an adapter's ΔW added, rows at a time.
import type { LinearInfo, StoredAdapter } from '@qlora/peft';
import {
  byteLength,
  type ConversionItem,
  type DType,
  readRange,
  type TensorInfo,
  type TensorSource,
} from '@qlora/tensor';
import { mergeTask } from './tasks';

/**
 * W + ΔW of one layer, added in f32 and then rounded to `dtype`.
 * @param layer the layer, which `adapter` has a module for.
 */
export function mergeItem(
  source: TensorSource,
  info: TensorInfo,
  adapter: StoredAdapter,
  layer: LinearInfo,
  dtype: DType,
): ConversionItem {
  const { name, shape } = info;
  const { inFeatures, outFeatures } = layer;
  const { method, config } = adapter;
  const tensors = adapter.modules.get(layer.name) ?? new Map();
  const where = [source.label, name];
  return {
    name,
    outputs: [{ name, dtype, shape }],
    elements: inFeatures * outFeatures,
    bytes: byteLength(info.dtype, shape),
    unit: inFeatures,
    async convert(start, count, sink, run) {
      const values = await readRange(source, name, start, count);
      const merged = await run(mergeTask, {
        values,
        dtype,
        place: { where, start },
        peftType: method.peftType,
        config,
        layer,
        tensors,
        rows: { start: start / inFeatures, count: count / inFeatures },
      });
      await sink.writeRange(name, start, merged);
    },
  };
}
