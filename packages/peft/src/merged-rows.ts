// W + ΔW of some rows of a weight: the sum that every merge is made of.
import { type Tensor, toFloat32 } from '@qlora/tensor';
import type { AdapterMethod, LinearInfo, RowRange } from './contract';
import type { AdapterConfig } from './methods';

/** What an adapter has for one layer. */
export interface LayerAdapter {
  readonly method: Pick<AdapterMethod<AdapterConfig>, 'deltaWeight'>;
  readonly config: AdapterConfig;
  /** By the part of the key after the module: `lora_A.weight`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/**
 * Rows of a weight with the ΔW of adapters added in f32, one after another.
 * @param values the rows, in any float type; @param rows which ones they are.
 */
export function mergedRows(
  values: Tensor,
  layer: LinearInfo,
  adapters: readonly LayerAdapter[],
  rows: RowRange,
): Float32Array {
  const sum = new Float32Array(toFloat32(values));
  for (const { method, config, tensors } of adapters) {
    const delta = method.deltaWeight(config, layer, tensors, rows);
    for (let i = 0; i < sum.length; i++) sum[i]! += delta[i]!;
  }
  return sum;
}
