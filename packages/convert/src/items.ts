// All tensors of a model as items: what `quantize` and `merge` make of each.
import type { LinearInfo, StoredAdapter } from '@qlora/peft';
import { bytesOfTensors, type ConversionItem, elementCount, isFloat, type TensorSource } from '@qlora/tensor';
import { copyItem } from './copy';
import type { LinearWeights } from './linear-weights';
import { mergeItem } from './merge';
import { type BlockwiseConfig, quantizeItem } from './quantize';
import { transposedInfo, transposedSource } from './transposed';

/** An item for each tensor of the source: linear weights quantized, the others as they are. */
export function quantizedItems(
  source: TensorSource,
  linear: Pick<LinearWeights, 'weights'>,
  config: BlockwiseConfig,
): ConversionItem[] {
  const chosen = new Map(linear.weights.map((weight) => [weight.name, weight]));
  return source.tensors.map((info) => {
    const weight = chosen.get(info.name);
    if (!weight) return copyItem(source, info);
    if (!weight.transposed) return quantizeItem(source, info, config);
    const turned = transposedSource(source, info.name);
    // Read whole at once: the view has no ranges.
    return {
      ...quantizeItem(turned, transposedInfo(info), config),
      unit: Math.max(1, elementCount(info.shape)),
    };
  });
}

/** Bytes that an item's outputs take, states at their upper bound. */
export function outputBytes(item: ConversionItem): number {
  return bytesOfTensors(item.outputs);
}

/**
 * An item for each tensor: with ΔW where an adapter has one, else as it is, in `dtype`.
 * @param isTransposed weights whose axes are swapped: in 4 bits a Conv1D's is [out, in], in a plain checkpoint [in, out].
 */
export function mergedItems(
  source: TensorSource,
  adapters: readonly StoredAdapter[],
  layers: ReadonlyMap<string, LinearInfo>,
  dtype: 'f32' | 'f16' | 'bf16',
  isTransposed: (name: string) => boolean = () => false,
): ConversionItem[] {
  return source.tensors.map((info) => {
    if (isTransposed(info.name)) {
      const turned = transposedSource(source, info.name);
      return {
        ...copyItem(turned, transposedInfo(info), dtype),
        unit: Math.max(1, elementCount(info.shape)),
      };
    }
    const module = info.name.replace(/\.weight$/, '');
    const layer = adapters.some(({ modules }) => modules.has(module)) ? layers.get(module) : undefined;
    if (layer && isFloat(info.dtype)) return mergeItem(source, info, adapters, layer, dtype);
    return copyItem(source, info, dtype);
  });
}
