// What a config may say and a GGUF file cannot: llama.cpp has it built in for each architecture, its converter does not look at
// it, and a model that has it otherwise would run and compute something else. So it is refused.
import type { DecoderSizes } from './common';
import type { ConfigReader } from './config';

/**
 * Throws for an activation of the MLP other than the one that llama.cpp has for the family; no file says which it is.
 * @param known its names in transformers, the default first.
 */
export function requireActivation(config: ConfigReader, field: string, known: readonly string[]): void {
  const name = config.text(field);
  if (name === undefined || known.includes(name)) return;
  config.refuse(field, `is "${name}"`, `llama.cpp computes ${known[0]} for this architecture`);
}

/** Names of SiLU. */
export const SILU: readonly string[] = ['silu', 'swish'];
/** Names of GELU by the tanh formula. */
export const TANH_GELU: readonly string[] = ['gelu_pytorch_tanh', 'gelu_new'];

/**
 * Throws unless layers with sliding and with full attention come as llama.cpp has them built in: each `period`-th layer has
 * full attention, all others sliding.
 */
export function requireSlidingPattern(config: ConfigReader, period: number): void {
  const kinds = config.texts('layer_types');
  const wrong = kinds?.findIndex(
    (kind, i) => kind !== (i % period === period - 1 ? 'full_attention' : 'sliding_attention'),
  );
  if (wrong === undefined || wrong < 0) return;
  config.refuse(
    'layer_types',
    `has ${kinds?.[wrong]} in layer ${wrong}`,
    `llama.cpp takes full attention in layers ${period - 1}, ${2 * period - 1}, … and sliding attention in the others`,
  );
}

/**
 * Throws unless queries of a Gemma are scaled as llama.cpp does (src/models/gemma2.cpp and gemma3.cpp, f_attention_scale): by the
 * size of a head, and in the largest model by the hidden size over the heads.
 * @param largest layers of the model that llama.cpp takes for the largest.
 */
export function requireQueryScale(config: ConfigReader, sizes: DecoderSizes, largest: number): void {
  const { layers, hidden, heads, headDim } = sizes;
  const needed = layers === largest ? Math.floor(hidden / heads) : headDim;
  const given = config.optionalNumber('query_pre_attn_scalar');
  if (given === undefined || given === needed) return;
  config.refuse('query_pre_attn_scalar', `is ${given}`, `llama.cpp takes ${needed} for a model of this size`);
}
