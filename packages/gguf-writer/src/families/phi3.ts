// Phi 3 and 4 (conversion/phi.py, Phi3MiniModel): query, key and value are one weight, gate and up another, in the checkpoint as
// in the file. Long contexts have factors of their own, which go into the file as tensors.
import { f32Value, type GgufValue, u32 } from '../value';
import {
  decoderName,
  decoderTensors,
  linear,
  norm,
  readSizes,
  requireActivation,
  sizeMetadata,
  slidingWindowWarnings,
} from './common';
import type { ConfigReader } from './config';
import type { GgufExtraTensor, GgufFamily } from './contract';
import { type Rope, readRope } from './rope';

/** The architecture `phi3`. */
export const phi3: GgufFamily = {
  architecture: 'phi3',
  classes: ['Phi3ForCausalLM'],
  modelTypes: ['phi3'],

  describe(config) {
    const sizes = readSizes(config, { contextLength: 4096, normEpsilon: 1e-5 });
    requireActivation(config, 'hidden_act', ['silu', 'swish']);
    const { hidden, wide, heads, keyHeads, headDim } = sizes;
    if (headDim !== Math.floor(hidden / heads)) {
      config.refuse('head_dim', `is ${headDim}`, 'llama.cpp divides the hidden size by the heads for Phi 3');
    }
    const rope = readRope(config);
    const partial = rope.parameters.optionalNumber('partial_rotary_factor');
    const rotary = Math.floor(
      Math.floor((partial ?? config.number('partial_rotary_factor', 1)) * hidden) / heads,
    );
    const original =
      rope.parameters.optionalSize('original_max_position_embeddings') ??
      config.size('original_max_position_embeddings', 4096);
    const long = longRope(config, rope, sizes.contextLength, original, rotary);
    const tied = config.flag('tie_word_embeddings', false);
    const window = config.optionalSize('sliding_window');
    const qkv = (heads + 2 * keyHeads) * headDim;
    const layer = [
      norm('input_layernorm', 'attn_norm', hidden),
      ...linear('self_attn.qkv_proj', 'attn_qkv', [qkv, hidden]),
      ...linear('self_attn.o_proj', 'attn_output', [hidden, heads * headDim]),
      norm('post_attention_layernorm', 'ffn_norm', hidden),
      ...linear('mlp.gate_up_proj', 'ffn_up', [2 * wide, hidden]),
      ...linear('mlp.down_proj', 'ffn_down', [hidden, wide]),
    ];
    return {
      ...sizes,
      metadata: [
        ...long.metadata,
        ...sizeMetadata('phi3', sizes),
        ['phi3.rope.scaling.original_context_length', u32(original)],
        ['phi3.rope.dimension_count', u32(rotary)],
        ['phi3.rope.freq_base', f32Value(rope.theta)],
        // 0 tells Phi 4 from Phi 3 in llama.cpp.
        ['phi3.attention.sliding_window', u32(window ?? 0)],
      ],
      tensors: decoderTensors(sizes, layer, { tied }),
      extraTensors: long.tensors,
      warnings: slidingWindowWarnings(window, sizes),
      canonicalName: decoderName(tied),
      tokenizer: { plainAddedTokens: true },
    };
  },
};

/** Factors for long and for short contexts, and what attention is scaled by. */
function longRope(
  config: ConfigReader,
  { type, parameters }: Rope,
  contextLength: number,
  original: number,
  rotary: number,
): { metadata: [string, GgufValue][]; tensors: GgufExtraTensor[] } {
  if (type === 'default') return { metadata: [], tensors: [] };
  // transformers takes the `yarn` of early Phi 3 checkpoints for `longrope` too.
  if (type !== 'longrope' && type !== 'yarn')
    parameters.refuse('rope_type', `is "${type}"`, 'llama.cpp has longrope here');
  const [long, short] = (['long_factor', 'short_factor'] as const).map((field) => {
    const factors = parameters.numbers(field);
    if (factors?.length === rotary / 2) return Float32Array.from(factors);
    return parameters.refuse(field, `has ${factors?.length ?? 'no'} factors`, `${rotary / 2} are needed`);
  });
  const scale = contextLength / original;
  const attention = scale > 1 ? Math.sqrt(1 + Math.log(scale) / Math.log(original)) : 1;
  const own = parameters.optionalNumber('attention_factor');
  if (own !== undefined && Math.abs(own - attention) > 1e-5 * attention)
    parameters.refuse('attention_factor', `is ${own}`, `llama.cpp's converter writes ${attention}`);
  if (!Number.isFinite(attention)) config.refuse('original_max_position_embeddings', `is ${original}`);
  return {
    metadata: [['phi3.rope.scaling.attn_factor', f32Value(attention)]],
    tensors: [
      { name: 'rope_factors_long.weight', values: long as Float32Array },
      { name: 'rope_factors_short.weight', values: short as Float32Array },
    ],
  };
}
