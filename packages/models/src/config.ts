// What a model's config.json says, checked. Hugging Face lets a config say many things that change the computation; the
// ones that are computed here are read, the others are refused by name, so that a wrong result is never silent.
import { QloraError } from '@qlora/tensor';
import { z } from 'zod';

/** Scaling of rotary frequencies for contexts longer than the one trained on. */
export type RopeScaling =
  | { readonly type: 'default' }
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    };

/** Hyperparameters of a Llama. */
export interface LlamaConfig {
  /** `model_type` of the config. */
  readonly modelType: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Key and value heads (grouped-query attention); divides `heads`. */
  readonly keyHeads: number;
  readonly headDim: number;
  readonly vocabularySize: number;
  /** Longest sequence, in tokens. */
  readonly contextLength: number;
  readonly normEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** Whether the output embedding is the input embedding. */
  readonly tiedEmbeddings: boolean;
  /** Whether q, k, v and o have biases. */
  readonly attentionBias: boolean;
  /** Whether gate, up and down have biases. */
  readonly mlpBias: boolean;
  readonly bosTokenId: number | undefined;
  /** Tokens that end a generation. */
  readonly eosTokenIds: readonly number[];
}

const size = z.number().int().positive().max(1e7);
// Names are made for every layer before the first is looked for in a file, so a config that lies must stay cheap.
const layerCount = z.number().int().positive().max(1024);
const tokenId = z.number().int().nonnegative();

const ropeSchema = z.object({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: size.optional(),
});

/** Cosines and sines of all positions, 1 GB in f32: a context of two million for heads of 128. */
const MAX_ROPE_VALUES = 2 ** 28;

const schema = z.object({
  model_type: z.string(),
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  vocab_size: size,
  max_position_embeddings: size.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  hidden_act: z.string().default('silu'),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  pretraining_tp: z.number().nullish(),
  partial_rotary_factor: z.number().nullish(),
  sliding_window: z.number().nullish(),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
});

/**
 * Reads a Llama's config.json (transformers/models/llama/configuration_llama.py, version 5.23, and older spellings).
 * @throws QloraError naming the field, its value and what would be right.
 */
export function parseLlamaConfig(json: unknown, where = 'config.json'): LlamaConfig {
  const refuse = (what: string, fix?: string): never => {
    throw new QloraError({ what, where, ...(fix ? { fix } : {}) });
  };
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return refuse(
      `${issue?.path.join('.') || 'the file'}: ${issue?.message}`,
      'the config.json of a Llama model is needed',
    );
  }
  const c = parsed.data;
  if (c.hidden_act !== 'silu') refuse(`hidden_act is "${c.hidden_act}"`, 'only silu is computed');
  if (c.partial_rotary_factor != null && c.partial_rotary_factor !== 1) {
    refuse(`partial_rotary_factor is ${c.partial_rotary_factor}`, 'only whole heads are rotated');
  }
  if (c.sliding_window != null && c.sliding_window < c.max_position_embeddings) {
    refuse(`sliding_window is ${c.sliding_window}`, 'only attention over the whole context is computed');
  }
  const keyHeads = c.num_key_value_heads ?? c.num_attention_heads;
  if (c.num_attention_heads % keyHeads !== 0) {
    refuse(`num_key_value_heads ${keyHeads} does not divide num_attention_heads ${c.num_attention_heads}`);
  }
  if (c.head_dim == null && c.hidden_size % c.num_attention_heads !== 0) {
    refuse(`num_attention_heads ${c.num_attention_heads} does not divide hidden_size ${c.hidden_size}`);
  }
  const headDim = c.head_dim ?? c.hidden_size / c.num_attention_heads;
  if (headDim % 2 !== 0) refuse(`head_dim ${headDim} is odd`, 'rotary embedding needs pairs');
  if (c.max_position_embeddings * headDim > MAX_ROPE_VALUES) {
    refuse(
      `max_position_embeddings ${c.max_position_embeddings} needs tables of more than ${MAX_ROPE_VALUES} values`,
      'lower it to the longest sequence that is needed',
    );
  }
  // In this order, as transformers has them (modeling_rope_utils.py, convert_rope_params_to_dict).
  const rope = c.rope_scaling ?? c.rope_parameters ?? {};
  return {
    modelType: c.model_type,
    hiddenSize: c.hidden_size,
    intermediateSize: c.intermediate_size,
    layers: c.num_hidden_layers,
    heads: c.num_attention_heads,
    keyHeads,
    headDim,
    vocabularySize: c.vocab_size,
    contextLength: c.max_position_embeddings,
    normEpsilon: c.rms_norm_eps,
    ropeTheta: c.rope_theta ?? rope.rope_theta ?? 10000,
    ropeScaling: parseRope(rope, refuse),
    tiedEmbeddings: c.tie_word_embeddings,
    attentionBias: c.attention_bias,
    mlpBias: c.mlp_bias,
    bosTokenId: c.bos_token_id ?? undefined,
    eosTokenIds: c.eos_token_id == null ? [] : [c.eos_token_id].flat(),
  };
}

function parseRope(
  rope: z.infer<typeof ropeSchema>,
  refuse: (what: string, fix?: string) => never,
): RopeScaling {
  const type = rope.rope_type ?? rope.type ?? 'default';
  const need = (field: keyof typeof rope): number => {
    const value = rope[field];
    return typeof value === 'number' ? value : refuse(`rope scaling "${type}" lacks ${field}`);
  };
  switch (type) {
    case 'default':
      return { type };
    case 'linear':
      return { type, factor: need('factor') };
    case 'llama3':
      if (!(need('low_freq_factor') < need('high_freq_factor'))) {
        refuse('rope scaling "llama3" has a low_freq_factor that is not below high_freq_factor');
      }
      return {
        type,
        factor: need('factor'),
        lowFrequencyFactor: need('low_freq_factor'),
        highFrequencyFactor: need('high_freq_factor'),
        originalContext: need('original_max_position_embeddings'),
      };
    default:
      return refuse(`rope scaling is "${type}"`, 'default, linear and llama3 are computed');
  }
}
