// What a model family has to say so that its checkpoints become GGUF files: a file beside `llama.ts`, and a line in
// `registry.ts`. Facts come from llama.cpp's converter (conversion/*.py of v0.5.0), which the goldens hold every family to.
import type { Shape } from '@qlora/tensor';
import type { GgufValue } from '../value';
import type { ConfigReader } from './config';

/** What becomes of a checkpoint's tensor. */
export interface GgufTensorRule {
  /** Its name in the file. */
  readonly name: string;
  /** The shape that it must have by the config. */
  readonly shape: Shape;
  /** Heads whose rows are put in the order of llama.cpp's rotary embedding; undefined where rows stay. */
  readonly heads?: number;
  /** Added to every value: 1 for the norms of Gemma, which llama.cpp does not add itself. */
  readonly shift?: number;
}

/** A tensor that is in the file and not in the checkpoint. */
export interface GgufExtraTensor {
  readonly name: string;
  readonly values: Float32Array;
}

/** One model of a family. */
export interface GgufDescription {
  /** Layers, by which mixed recipes choose. */
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly vocabularySize: number;
  /** Hyperparameters under llama.cpp's keys, and nothing of `general`. */
  readonly metadata: readonly (readonly [string, GgufValue])[];
  /** The checkpoint's tensors, by the names that {@link canonicalName} gives. All of them must be there. */
  readonly tensors: ReadonlyMap<string, GgufTensorRule>;
  readonly extraTensors: readonly GgufExtraTensor[];
  /** What llama.cpp computes otherwise than the config says, where that changes only what long texts give: sentences. */
  readonly warnings?: readonly string[];
  /** The name that `tensors` has for a tensor of a checkpoint; undefined for one that llama.cpp does not want. */
  canonicalName(name: string): string | undefined;
  /** Where the family has a way of its own with tokenizers. */
  readonly tokenizer?: GgufTokenizerRules;
}

/** A family's own ways with tokenizers. */
export interface GgufTokenizerRules {
  /** Added tokens are taken as they are: `▁` stays, and none is a control token by its looks (Phi 3). */
  readonly plainAddedTokens?: boolean;
}

/** A family of models. */
export interface GgufFamily {
  /** `general.architecture`. */
  readonly architecture: string;
  /** Names in `architectures` of config.json. */
  readonly classes: readonly string[];
  /** `model_type`s of config.json, for configs without `architectures`. */
  readonly modelTypes: readonly string[];
  /** @throws QloraError for a config that llama.cpp has no form of, naming the field. */
  describe(config: ConfigReader): GgufDescription;
}
