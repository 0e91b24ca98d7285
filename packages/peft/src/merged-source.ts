// Merging as a source over a source: each weight that the adapter knows is read, gets ΔW added in f32, and goes on. One
// tensor is in memory at a time, whatever the size of the model.
import {
  cast,
  fromFloat32,
  isFloat,
  QloraError,
  readRange,
  type TensorSource,
  toFloat32,
} from '@qlora/tensor';
import type { StoredAdapter } from './adapter-file';
import { checkModule } from './check-adapter';

/** A merge that was asked for. */
export interface MergeOptions {
  /** Type of the merged model's float tensors. Default: what each tensor of the base has. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
}

/**
 * The base model's tensors with an adapter merged in.
 * @throws QloraError if the adapter has a module that the base has no weight of, or whose shape differs: it belongs to
 * another model.
 */
export function mergedSource(
  base: TensorSource,
  adapter: StoredAdapter,
  options: MergeOptions = {},
): TensorSource {
  const weights = new Map(base.tensors.map((info) => [info.name, info]));
  const modules = new Map<string, { name: string; inFeatures: number; outFeatures: number }>();
  for (const module of adapter.modules.keys()) {
    const weight = weights.get(`${module}.weight`);
    const [outFeatures, inFeatures] = weight?.shape ?? [];
    if (outFeatures === undefined || inFeatures === undefined || weight?.shape.length !== 2) {
      throw new QloraError({
        what: `adapts "${module}", which ${base.label} has no weight matrix of`,
        where: adapter.label,
        fix: 'merge it into the model that it was trained on',
      });
    }
    const layer = { name: module, inFeatures, outFeatures };
    // Shapes are cheap to check before the first tensor is read, and a merge that fails half-way is a waste.
    checkModule(adapter, layer);
    modules.set(`${module}.weight`, layer);
  }
  const typeOf = (dtype: TensorSource['tensors'][number]['dtype']) =>
    options.dtype && isFloat(dtype) ? options.dtype : dtype;
  return {
    label: `${base.label} + ${adapter.label}`,
    metadata: base.metadata,
    tensors: base.tensors.map((info) => ({ ...info, dtype: typeOf(info.dtype) })),
    async read(name) {
      const tensor = await base.read(name);
      const layer = modules.get(name);
      if (!layer) return cast(tensor, typeOf(tensor.dtype));
      const delta = adapter.method.deltaWeight(
        adapter.config,
        layer,
        adapter.modules.get(layer.name) ?? new Map(),
      );
      const weight = toFloat32(tensor);
      for (let i = 0; i < delta.length; i++) delta[i]! += weight[i]!;
      return fromFloat32(typeOf(tensor.dtype), tensor.shape, delta);
    },
    async readRange(name, start, count) {
      const layer = modules.get(name);
      if (!layer) {
        const part = await readRange(base, name, start, count);
        return cast(part, typeOf(part.dtype));
      }
      // Whole rows: the first and the last one may be needed in part.
      const { inFeatures } = layer;
      const first = Math.floor(start / inFeatures);
      const rows = { start: first, count: Math.ceil((start + count) / inFeatures) - first };
      const part = await readRange(base, name, start, count);
      const delta = adapter.method
        .deltaWeight(adapter.config, layer, adapter.modules.get(layer.name) ?? new Map(), rows)
        .subarray(start - first * inFeatures, start - first * inFeatures + count);
      const weight = toFloat32(part);
      for (let i = 0; i < count; i++) delta[i]! += weight[i]!;
      return fromFloat32(typeOf(part.dtype), [count], delta);
    },
    close: () => base.close(),
  };
}
