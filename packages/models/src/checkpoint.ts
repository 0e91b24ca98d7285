// A checkpoint: config, weights and tokenizer of a model, wherever they come from. Quantizing is a view of it.
import type { Backend } from '@qlora/backend';
import type { BaseQuantization, LinearInfo } from '@qlora/peft';
import { isQuantizedSource, type QuantizedSource, quantizingSource } from '@qlora/quant-strategies';
import { isFloat, type TensorSource } from '@qlora/tensor';
import type { LlamaConfig } from './config';
import type { BuildOptions, ModelFamily } from './contract';
import type { LlamaModel } from './llama';

import type { Tokenizer, TokenizerFiles } from './tokenizer';

/** An open checkpoint. */
export interface Checkpoint {
  /** Folder or name, for messages. */
  readonly label: string;
  readonly family: ModelFamily;
  readonly config: LlamaConfig;
  /** config.json as it was. */
  readonly configJson: Record<string, unknown>;
  /** generation_config.json, if there is one. */
  readonly generationJson: Record<string, unknown> | undefined;
  readonly tokenizerFiles: TokenizerFiles;
  readonly tokenizer: Tokenizer;
  readonly source: TensorSource;
  close(): Promise<void>;
}

/** True if the weights are in 4 bits already. */
export function isQuantized(checkpoint: Checkpoint): boolean {
  return isQuantizedSource(checkpoint.source) && checkpoint.source.quantized.size > 0;
}

/**
 * The checkpoint's weights with its linear layers in 4 bits: as they are stored, or quantized as they are read.
 * @param options.denseModules linear layers that stay as they are.
 * @param how where parts of them are quantized, as `quantizingSource` takes it.
 */
export function quantizedWeights(
  checkpoint: Checkpoint,
  { denseModules = [], ...options }: Partial<BaseQuantization> = {},
  how: Parameters<typeof quantizingSource>[3] = {},
): QuantizedSource {
  const { source, family, config } = checkpoint;
  if (isQuantizedSource(source) && source.quantized.size > 0) return source;
  return quantizingSource(
    source,
    family.linearModules(config).flatMap((name) => (denseModules.includes(name) ? [] : [`${name}.weight`])),
    options,
    how,
  );
}

/** The linear layers of a checkpoint that are quantized and adapted, with their sizes. */
export function linearLayers({ family, config }: Pick<Checkpoint, 'family' | 'config'>): LinearInfo[] {
  const shapes = family.tensors(config);
  return family.linearModules(config).map((name) => {
    const [outFeatures = 0, inFeatures = 0] = shapes.get(`${name}.weight`) ?? [];
    return { name, outFeatures, inFeatures };
  });
}

/**
 * Puts the model on a backend.
 *
 * @param options.quantize quantize the linear layers on the way, unless they are already. Default: as stored.
 */
export function loadModel(
  backend: Backend,
  checkpoint: Checkpoint,
  options: BuildOptions & { readonly quantize?: Partial<BaseQuantization> } = {},
): Promise<LlamaModel> {
  const source = options.quantize ? quantizedWeights(checkpoint, options.quantize) : checkpoint.source;
  return checkpoint.family.build(backend, checkpoint.config, source, options);
}

/** Bytes of all float tensors as they are stored in the checkpoint, and how many values they hold. */
export function sizeOf(source: TensorSource): { parameters: number } {
  let parameters = 0;
  for (const { dtype, shape } of source.tensors)
    if (isFloat(dtype)) parameters += shape.reduce((a, b) => a * b, 1);
  return { parameters };
}
