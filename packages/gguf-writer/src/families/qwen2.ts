// Qwen 2 and 2.5 (conversion/qwen.py, Qwen2Model): q, k and v have biases, the output has none, rows stay as they are.
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

/** The architecture `qwen2`. */
export const qwen2: GgufFamily = {
  architecture: 'qwen2',
  classes: ['Qwen2ForCausalLM', 'Qwen2Model'],
  modelTypes: ['qwen2'],

  describe(config) {
    const sizes = readSizes(config, { keyHeads: 32, contextLength: 32768, normEpsilon: 1e-6 });
    requireActivation(config, 'hidden_act', ['silu', 'swish']);
    if (config.flag('use_sliding_window', false)) {
      config.refuse('use_sliding_window', 'is true', 'llama.cpp has full attention only for Qwen 2');
    }
    const tied = config.flag('tie_word_embeddings', false);
    const layer = [
      norm('input_layernorm', 'attn_norm', sizes.hidden),
      ...attention(sizes, { bias: true }),
      norm('post_attention_layernorm', 'ffn_norm', sizes.hidden),
      ...gatedMlp(sizes),
    ];
    return {
      ...sizes,
      metadata: [
        ...sizeMetadata('qwen2', sizes),
        ...ropeMetadata('qwen2', readRope(config), config),
        // Without it, llama.cpp divides the hidden size by the heads, as transformers does.
        ...(config.has('head_dim') ? headMetadata('qwen2', sizes) : []),
      ],
      tensors: decoderTensors(sizes, layer, { tied }),
      extraTensors: [],
      canonicalName: decoderName(tied),
    };
  },
};
