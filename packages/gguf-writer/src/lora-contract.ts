// What a LoRA adapter has to say of itself to become a GGUF file.
import type { TensorInfo, TensorSource } from '@qlora/tensor';
import type { ConfigJson } from './families/config';

/** Types of an adapter's matrices: those of llama.cpp's converter. */
export const LORA_GGUF_TYPES = ['f32', 'f16', 'bf16', 'q8_0'] as const;

/** See {@link LORA_GGUF_TYPES}. */
export type LoraGgufType = (typeof LORA_GGUF_TYPES)[number];

/** What an adapter adds to one module: scaling · B·A. */
export interface LoraGgufModule {
  /** The module by its name in the checkpoint: `model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  /** Name in the source of A: [rank, in], or [rank, vocabulary] for an embedding. */
  readonly a: string;
  /** Name in the source of B: [out, rank], or [hidden, rank] for an embedding. */
  readonly b: string;
  /** What B·A is multiplied by: alpha / rank in plain LoRA, alpha / √rank in rank-stabilized LoRA. */
  readonly scaling: number;
}

/** An adapter to export. */
export interface LoraGgufAdapter {
  /** The tensors of the modules, in any float type. */
  readonly source: TensorSource;
  /** In the order of the file. */
  readonly modules: readonly LoraGgufModule[];
  /** Parsed config.json of the base model. */
  readonly config: ConfigJson;
  /** Type of A and B. Rows that are no whole blocks, as those of a B of rank 16 in q8_0, are f16. */
  readonly type: LoraGgufType;
  /** `general.name`. */
  readonly name: string;
  /** Tensors of the base model, where they are at hand, to check shapes against beside config.json's. */
  readonly baseTensors?: readonly TensorInfo[] | undefined;
}
