// What adapters are merged into: by default the weights that they were trained on, so that the result computes what training
// computed. A model in 4 bits has them, and of a plain one they are made again, quantized and decoded, if an adapter says how.
import type { BaseQuantization, StoredAdapter } from '@qlora/peft';
import {
  describeQuantization,
  isQuantizedSource,
  type QuantizationConfig,
  quantizationOf,
  quantizingSource,
  sameQuantization,
  sharedQuantization,
} from '@qlora/quant-strategies';
import { QloraError, type TensorSource } from '@qlora/tensor';
import { linearWeights } from './linear-weights';

/** Weights that adapters are to be merged into. */
export interface TrainedWeights {
  /** All tensors of the model, dense. */
  readonly source: TensorSource;
  /** How the linear layers were quantized to get there; undefined where the weights are as they are stored. */
  readonly quantization: QuantizationConfig | undefined;
  /** What may not be as the adapters had it: sentences for people. */
  readonly warnings: readonly string[];
}

/**
 * The weights that adapters were trained on. Those of an adapter that does not say what that was (PEFT's do not) are the
 * model's, dequantized if they are in 4 bits; beside one that does say it, it goes into the same weights, with a warning.
 *
 * @throws QloraError if the model is not in 4 bits and its adapters were trained on different quantizations of it.
 */
export function trainedWeights(
  model: { readonly source: TensorSource; readonly config: Readonly<Record<string, unknown>> },
  adapters: readonly StoredAdapter[],
): TrainedWeights {
  const { source, config } = model;
  const said = adapters.flatMap(({ baseQuantization }) => (baseQuantization ? [baseQuantization] : []));
  if (isQuantizedSource(source) && source.quantized.size > 0)
    return { source, quantization: undefined, warnings: otherQuantizations(source, adapters) };
  const quantization = said.every((one) => sameBase(one, said[0])) ? said[0] : undefined;
  if (!quantization && said.length > 0) {
    throw new QloraError({
      what: `were trained on different weights: ${[...new Set(said.map(describeBase))].join('; ')}`,
      where: adapters.map(({ label }) => label).join(', '),
      fix: 'merge them into one base: the model as it is (--base MODEL), or a checkpoint in 4 bits',
    });
  }
  if (!quantization) return { source, quantization, warnings: [] };
  const dense = new Set(quantization.denseModules?.map((name) => `${name}.weight`));
  const names = linearWeights(config, source.tensors).weights.flatMap(({ name }) =>
    dense.has(name) ? [] : [name],
  );
  const warnings = adapters
    .filter(({ baseQuantization }) => !baseQuantization)
    .map(
      ({ label }) =>
        `${label} does not say what it was trained on; like the others it goes into the weights in ${describeQuantization(quantization)}`,
    );
  return { source: quantizingSource(source, names, quantization), quantization, warnings };
}

const sameBase = (a: BaseQuantization, b: BaseQuantization | undefined): boolean =>
  b !== undefined &&
  sameQuantization(a, b) &&
  (a.denseModules ?? []).join('\n') === (b.denseModules ?? []).join('\n');

/** A base for people. */
function describeBase(base: BaseQuantization): string {
  const { denseModules = [] } = base;
  const text = describeQuantization(base);
  return denseModules.length > 0 ? `${text}, but for ${denseModules.length} layers` : text;
}

/** Sentences about adapters that were trained on another quantization than the model has; none of a model that is dense. */
export function otherQuantizations(source: TensorSource, adapters: readonly StoredAdapter[]): string[] {
  if (!isQuantizedSource(source)) return [];
  const { quantized } = source;
  const is = sharedQuantization([...quantized.values()].map(quantizationOf));
  return adapters.flatMap(({ baseQuantization: base, label }) => {
    if (!is || !base) return [];
    const isDense = base.denseModules?.every((name) => !quantized.has(`${name}.weight`)) ?? true;
    if (isDense && sameQuantization(is, base)) return [];
    return [
      `${label} was trained on weights in ${describeBase(base)}; ${source.label} is in ${describeQuantization(is)}`,
    ];
  });
}
