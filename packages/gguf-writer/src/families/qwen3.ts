// Qwen 3, dense (conversion/qwen.py, Qwen3Model): norms on the queries and keys of each head, no biases.
import {
  attention,
  decoderName,
  decoderTensors,
  gatedMlp,
  headMetadata,
  norm,
  readSizes,
  requireActivation,
  sizeMetadata,
} from './common';
import type { GgufFamily } from './contract';
import { readRope, ropeMetadata } from './rope';

/** The architecture `qwen3`. */
export const qwen3: GgufFamily = {
  architecture: 'qwen3',
  classes: ['Qwen3ForCausalLM', 'Qwen3Model'],
  modelTypes: ['qwen3'],

  describe(config) {
    const sizes = readSizes(config, { keyHeads: 32, headDim: 128, contextLength: 32768, normEpsilon: 1e-6 });
    requireActivation(config, 'hidden_act', ['silu', 'swish']);
    for (const field of ['attention_bias', 'use_sliding_window']) {
      if (config.flag(field, false))
        config.refuse(field, 'is true', 'llama.cpp has no such thing for Qwen 3');
    }
    const tied = config.flag('tie_word_embeddings', false);
    const layer = [
      norm('input_layernorm', 'attn_norm', sizes.hidden),
      ...attention(sizes),
      norm('self_attn.q_norm', 'attn_q_norm', sizes.headDim),
      norm('self_attn.k_norm', 'attn_k_norm', sizes.headDim),
      norm('post_attention_layernorm', 'ffn_norm', sizes.hidden),
      ...gatedMlp(sizes),
    ];
    return {
      ...sizes,
      metadata: [
        ...sizeMetadata('qwen3', sizes),
        ...ropeMetadata('qwen3', readRope(config), config),
        ...headMetadata('qwen3', sizes),
      ],
      tensors: decoderTensors(sizes, layer, { tied }),
      extraTensors: [],
      canonicalName: decoderName(tied),
    };
  },
};
