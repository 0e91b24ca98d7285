// Llama 2 and 3, Mistral, TinyLlama, SmolLM2 (conversion/llama.py, LlamaModel). Hugging Face rotates pairs (i, i + half) of a
// head, llama.cpp pairs (2i, 2i + 1) for this architecture, so the rows of q and k change their order.
import { u32 } from '../value';
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
  slidingWindowWarnings,
} from './common';
import type { ConfigReader } from './config';
import type { GgufFamily } from './contract';
import { llama3Factors, readRope, ropeMetadata } from './rope';

const MISTRAL = { keyHeads: 8, contextLength: 4096 * 32, normEpsilon: 1e-6 };
const LLAMA = { contextLength: 2048, normEpsilon: 1e-6 };

/** The architecture `llama`. */
export const llama: GgufFamily = {
  architecture: 'llama',
  classes: ['LlamaForCausalLM', 'LLaMAForCausalLM', 'MistralForCausalLM', 'LlamaModel'],
  modelTypes: ['llama', 'mistral'],

  describe(config) {
    const sizes = readSizes(config, config.text('model_type') === 'mistral' ? MISTRAL : LLAMA);
    requireActivation(config, 'hidden_act', ['silu', 'swish']);
    const tied = config.flag('tie_word_embeddings', false);
    const bias = config.flag('attention_bias', false);
    const rope = readRope(config);
    const factors = llama3Factors(rope, sizes.headDim);
    const layer = [
      norm('input_layernorm', 'attn_norm', sizes.hidden),
      ...attention(sizes, { bias, outputBias: bias, permuted: true }),
      norm('post_attention_layernorm', 'ffn_norm', sizes.hidden),
      ...gatedMlp(sizes, config.flag('mlp_bias', false)),
    ];
    return {
      ...sizes,
      metadata: [
        ...sizeMetadata('llama', sizes),
        ...ropeMetadata('llama', rope, config),
        ...headMetadata('llama', sizes),
        ['llama.vocab_size', u32(sizes.vocabularySize)],
        ['llama.rope.dimension_count', u32(sizes.headDim)],
      ],
      tensors: decoderTensors(sizes, layer, { tied }),
      extraTensors: factors ? [{ name: 'rope_freqs.weight', values: factors }] : [],
      warnings: slidingWindowWarnings(mistralWindow(config), sizes),
      canonicalName: decoderName(tied),
    };
  },
};

/** Mistral's sliding window, 4096 unless the config says otherwise (configuration_mistral.py); Llama has none. */
function mistralWindow(config: ConfigReader): number | undefined {
  if (config.text('model_type') !== 'mistral' || config.isNull('sliding_window')) return undefined;
  return config.size('sliding_window', 4096);
}
