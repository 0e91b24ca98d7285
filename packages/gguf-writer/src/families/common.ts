// What the families share: they are all decoders with rotary embeddings, and name their tensors alike. Names on the right are
// those of gguf-py/gguf/tensor_mapping.py.
import type { Shape } from '@qlora/tensor';
import { f32Value, type GgufValue, u32 } from '../value';
import type { ConfigReader } from './config';
import type { GgufTensorRule } from './contract';

/** Sizes of a decoder. */
export interface DecoderSizes {
  readonly layers: number;
  readonly hidden: number;
  readonly wide: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly normEpsilon: number;
}

/** What a config is without: the defaults of the family in transformers. */
export interface SizeDefaults {
  readonly keyHeads?: number;
  readonly headDim?: number;
  readonly contextLength: number;
  readonly normEpsilon: number;
}

// The config may be a stranger's, and lists as long as these are made before a tensor is looked at.
/** LLAMA_MAX_LAYERS of llama.cpp (src/llama-hparams.h). */
const MAX_LAYERS = 512;
/** The largest vocabularies have 262 000 tokens. */
const MAX_VOCABULARY = 1 << 20;
/** Models have 64 to 256. */
const MAX_HEAD_DIM = 1 << 16;

/** Sizes by the names that all these configs have. */
export function readSizes(config: ConfigReader, defaults: SizeDefaults): DecoderSizes {
  const hidden = config.size('hidden_size');
  const heads = config.size('num_attention_heads');
  const keyHeads = config.size('num_key_value_heads', defaults.keyHeads ?? heads);
  if (heads % keyHeads !== 0) config.refuse('num_key_value_heads', `is ${keyHeads}, of ${heads} heads`);
  const headDim = config.size('head_dim', defaults.headDim ?? Math.floor(hidden / heads), MAX_HEAD_DIM);
  if (headDim % 2 !== 0) config.refuse('head_dim', `is ${headDim}`, 'rotary embeddings need an even number');
  return {
    layers: config.size('num_hidden_layers', undefined, MAX_LAYERS),
    hidden,
    wide: config.size('intermediate_size'),
    heads,
    keyHeads,
    headDim,
    vocabularySize: config.size('vocab_size', undefined, MAX_VOCABULARY),
    contextLength: config.size('max_position_embeddings', defaults.contextLength),
    normEpsilon: config.number('rms_norm_eps', defaults.normEpsilon),
  };
}

/** Refuses an activation that is not the one llama.cpp has built in. @param names of it in transformers, the usual one first. */
export function requireActivation(config: ConfigReader, field: string, names: readonly string[]): void {
  const name = config.text(field);
  if (name !== undefined && !names.includes(name))
    config.refuse(field, `is "${name}"`, `llama.cpp has ${names[0]} here`);
}

/** The metadata of sizes, in the converter's order. */
export function sizeMetadata(architecture: string, sizes: DecoderSizes): [string, GgufValue][] {
  return [
    [`${architecture}.block_count`, u32(sizes.layers)],
    [`${architecture}.context_length`, u32(sizes.contextLength)],
    [`${architecture}.embedding_length`, u32(sizes.hidden)],
    [`${architecture}.feed_forward_length`, u32(sizes.wide)],
    [`${architecture}.attention.head_count`, u32(sizes.heads)],
    [`${architecture}.attention.head_count_kv`, u32(sizes.keyHeads)],
    [`${architecture}.attention.layer_norm_rms_epsilon`, f32Value(sizes.normEpsilon)],
  ];
}

/** The metadata of a head's size, for families whose files say it. */
export function headMetadata(architecture: string, { headDim }: DecoderSizes): [string, GgufValue][] {
  return [
    [`${architecture}.attention.key_length`, u32(headDim)],
    [`${architecture}.attention.value_length`, u32(headDim)],
  ];
}

/** A tensor of a layer: its name in the checkpoint, and what becomes of it, less the layer's number. */
export interface LayerTensor extends GgufTensorRule {
  readonly from: string;
}

/** A linear layer's weight and, if it has one, its bias. */
export function linear(
  from: string,
  name: string,
  [out, input]: readonly [number, number],
  options: { bias?: boolean; heads?: number } = {},
): LayerTensor[] {
  const heads = options.heads === undefined ? {} : { heads: options.heads };
  const weight = { from: `${from}.weight`, name: `${name}.weight`, shape: [out, input], ...heads };
  return options.bias
    ? [weight, { from: `${from}.bias`, name: `${name}.bias`, shape: [out], ...heads }]
    : [weight];
}

/** A norm's weight. */
export function norm(from: string, name: string, size: number, shift?: number): LayerTensor {
  const shape: Shape = [size];
  return { from: `${from}.weight`, name: `${name}.weight`, shape, ...(shift === undefined ? {} : { shift }) };
}

/** Query, key, value and output of attention. */
export function attention(
  { hidden, heads, keyHeads, headDim }: DecoderSizes,
  options: { bias?: boolean; outputBias?: boolean; permuted?: boolean } = {},
): LayerTensor[] {
  const { bias = false, outputBias = false, permuted = false } = options;
  const [queries, keys] = [heads * headDim, keyHeads * headDim];
  return [
    ...linear('self_attn.q_proj', 'attn_q', [queries, hidden], { bias, ...(permuted ? { heads } : {}) }),
    ...linear('self_attn.k_proj', 'attn_k', [keys, hidden], {
      bias,
      ...(permuted ? { heads: keyHeads } : {}),
    }),
    ...linear('self_attn.v_proj', 'attn_v', [keys, hidden], { bias }),
    ...linear('self_attn.o_proj', 'attn_output', [hidden, queries], { bias: outputBias }),
  ];
}

/** Gate, up and down. */
export function gatedMlp({ hidden, wide }: DecoderSizes, bias = false): LayerTensor[] {
  return [
    ...linear('mlp.gate_proj', 'ffn_gate', [wide, hidden], { bias }),
    ...linear('mlp.up_proj', 'ffn_up', [wide, hidden], { bias }),
    ...linear('mlp.down_proj', 'ffn_down', [hidden, wide], { bias }),
  ];
}

/** All tensors of a decoder: embedding, layers, last norm, and the output where it is not the embedding. */
export function decoderTensors(
  { layers, hidden, vocabularySize }: DecoderSizes,
  layer: readonly LayerTensor[],
  options: { tied: boolean; normShift?: number },
): Map<string, GgufTensorRule> {
  const shift = options.normShift === undefined ? {} : { shift: options.normShift };
  const rules = new Map<string, GgufTensorRule>([
    ['model.embed_tokens.weight', { name: 'token_embd.weight', shape: [vocabularySize, hidden] }],
    ['model.norm.weight', { name: 'output_norm.weight', shape: [hidden], ...shift }],
  ]);
  if (!options.tied) {
    rules.set('lm_head.weight', { name: 'output.weight', shape: [vocabularySize, hidden] });
  }
  for (let i = 0; i < layers; i++) {
    for (const { from, name, ...rule } of layer) {
      rules.set(`model.layers.${i}.${from}`, { ...rule, name: `blk.${i}.${name}` });
    }
  }
  return rules;
}

/**
 * Names of checkpoints as `decoderTensors` has them. Left out are rotary tables of old checkpoints and, in a tied model, the
 * embedding's repetition as `lm_head`; a model without its head has names without `model.`.
 */
export function decoderName(tied: boolean): (name: string) => string | undefined {
  return (name) => {
    if (name.endsWith('.rotary_emb.inv_freq')) return undefined;
    if (name === 'lm_head.weight' && tied) return undefined;
    return /^(layers|embed_tokens|norm)\./.test(name) ? `model.${name}` : name;
  };
}

/** What is to be said of a sliding window that llama.cpp v0.5.0 does not compute for an architecture. */
export function slidingWindowWarnings(window: number | undefined, { contextLength }: DecoderSizes): string[] {
  return window === undefined || window >= contextLength
    ? []
    : [
        `sliding_window is ${window}, but llama.cpp lets a token see all before it: what follows the first ${window} tokens comes out otherwise than in transformers`,
      ];
}
