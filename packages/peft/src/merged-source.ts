// Merging as a source over a source: each weight that an adapter knows is read, gets ΔW added in f32, and goes on. One
// tensor is in memory at a time, whatever the size of the model.
import {
  cast,
  type DType,
  fromFloat32,
  isFloat,
  QloraError,
  readRange,
  type Tensor,
  type TensorSource,
} from '@qlora/tensor';
import type { StoredAdapter } from './adapter-file';
import { checkModule } from './check-adapter';
import type { LinearInfo, RowRange } from './contract';
import { mergedRows } from './merged-rows';

/** A merge that was asked for. */
export interface MergeOptions {
  /** Type of the merged model's float tensors. Default: what each tensor of the base has. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
}

/**
 * The base model's tensors with adapters merged in, added in f32 one after another. `scaleAdapter` gives one a weight.
 * @throws QloraError if an adapter has a module that the base has no weight of, or whose shape differs: it belongs to
 * another model.
 */
export function mergedSource(
  base: TensorSource,
  adapters: StoredAdapter | readonly StoredAdapter[],
  options: MergeOptions = {},
): TensorSource {
  const all = 'method' in adapters ? [adapters] : adapters;
  const layers = new Map<string, LinearInfo>();
  // Shapes are cheap to check before the first tensor is read, and a merge that fails half-way is a waste.
  for (const adapter of all)
    for (const layer of adaptedLayers(base, adapter)) layers.set(`${layer.name}.weight`, layer);
  const typeOf = (dtype: DType) => (options.dtype && isFloat(dtype) ? options.dtype : dtype);
  const merged = (tensor: Tensor, layer: LinearInfo, rows: RowRange): Float32Array => {
    const own = all.flatMap(({ method, config, modules }) => {
      const tensors = modules.get(layer.name);
      return tensors ? [{ method, config, tensors }] : [];
    });
    return mergedRows(tensor, layer, own, rows);
  };
  return {
    label: [base.label, ...all.map(({ label }) => label)].join(' + '),
    metadata: base.metadata,
    tensors: base.tensors.map((info) => ({ ...info, dtype: typeOf(info.dtype) })),
    async read(name) {
      const tensor = await base.read(name);
      const layer = layers.get(name);
      if (!layer) return cast(tensor, typeOf(tensor.dtype));
      const values = merged(tensor, layer, { start: 0, count: layer.outFeatures });
      return fromFloat32(typeOf(tensor.dtype), tensor.shape, values);
    },
    async readRange(name, start, count) {
      const layer = layers.get(name);
      if (!layer) {
        const part = await readRange(base, name, start, count);
        return cast(part, typeOf(part.dtype));
      }
      // Whole rows: the first and the last one may be needed in part.
      const { inFeatures } = layer;
      const first = Math.floor(start / inFeatures);
      const rows = { start: first, count: Math.ceil((start + count) / inFeatures) - first };
      const part = await readRange(base, name, first * inFeatures, rows.count * inFeatures);
      const values = merged(part, layer, rows);
      const from = start - first * inFeatures;
      return fromFloat32(typeOf(part.dtype), [count], values.subarray(from, from + count));
    },
    close: () => base.close(),
  };
}

/** The layers that an adapter changes, as the base has them. */
function adaptedLayers(base: TensorSource, adapter: StoredAdapter): LinearInfo[] {
  const shapes = new Map(base.tensors.map(({ name, shape }) => [name, shape]));
  return [...adapter.modules.keys()].map((name) => {
    const shape = shapes.get(`${name}.weight`);
    const [outFeatures, inFeatures] = shape ?? [];
    if (outFeatures === undefined || inFeatures === undefined || shape?.length !== 2) {
      throw new QloraError({
        what: `adapts "${name}", which ${base.label} has no weight matrix of`,
        where: adapter.label,
        fix: 'merge it into the model that it was trained on',
      });
    }
    const layer = { name, inFeatures, outFeatures };
    checkModule(adapter, layer);
    return layer;
  });
}
