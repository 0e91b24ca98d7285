// What a model family has to say. The first is `llama-family.ts`; `family.ts` is the registry.
import type { Backend } from '@qlora/backend';
import type { TensorSource } from '@qlora/tensor';
import type { LlamaConfig } from './config';
import type { LlamaModel } from './llama';

/** How a model is put on a backend. */
export interface BuildOptions {
  /** Make every weight trainable; for training from scratch. Quantized weights cannot be. Default false. */
  readonly trainable?: boolean;
  /** Called after each tensor. */
  readonly onTensor?: (name: string, done: number, total: number) => void;
}

/** One architecture and its kin. */
export interface ModelFamily {
  /** `model_type` values that it takes. */
  readonly modelTypes: readonly string[];
  parseConfig(json: unknown, where?: string): LlamaConfig;
  /** Module names of the layers that are quantized and adapted. */
  linearModules(config: LlamaConfig): string[];
  /** Every tensor of a checkpoint and its shape, [out, in] for matrices. */
  tensors(config: LlamaConfig): ReadonlyMap<string, readonly number[]>;
  /** Reads the weights and puts the model on a backend. */
  build(
    backend: Backend,
    config: LlamaConfig,
    source: TensorSource,
    options?: BuildOptions,
  ): Promise<LlamaModel>;
}
