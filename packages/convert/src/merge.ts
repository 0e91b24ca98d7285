// A weight with the ΔW of adapters added, rows at a time.
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
 * W + ΔW of one layer, for each adapter in turn added in f32, and then rounded to `dtype`.
 * @param layer the layer; adapters that have no module for it add nothing.
 */
export function mergeItem(
  source: TensorSource,
  info: TensorInfo,
  adapters: readonly StoredAdapter[],
  layer: LinearInfo,
  dtype: DType,
): ConversionItem {
  const { name, shape } = info;
  const { inFeatures, outFeatures } = layer;
  const changes = adapters.flatMap(({ method, config, modules }) => {
    const tensors = modules.get(layer.name);
    return tensors ? [{ peftType: method.peftType, config, tensors }] : [];
  });
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
        changes,
        layer,
        rows: { start: start / inFeatures, count: count / inFeatures },
      });
      await sink.writeRange(name, start, merged);
    },
  };
}
