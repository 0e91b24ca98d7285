// Gemma 3, its language model (conversion/gemma.py, Gemma3Model): as Gemma 2, with norms on queries and keys, and two bases of
// the rotary embedding, one for full and one for sliding attention. Of a multimodal checkpoint the vision part is left out.
import { f32Value, type GgufValue, u32 } from '../value';
import {
  attention,
  decoderName,
  decoderTensors,
  gatedMlp,
  headMetadata,
  norm,
  readSizes,
  sizeMetadata,
} from './common';
import type { GgufFamily } from './contract';
import { requireBuiltIn } from './gemma';
import { readRope, ropeMetadata, slidingTheta } from './rope';

const VISION = /vision_|projector\./;

/** The architecture `gemma3`. */
export const gemma3: GgufFamily = {
  architecture: 'gemma3',
  classes: ['Gemma3ForCausalLM', 'Gemma3ForConditionalGeneration'],
  modelTypes: ['gemma3_text', 'gemma3'],

  describe(outer) {
    const config = outer.flattened();
    const sizes = readSizes(config, { keyHeads: 4, headDim: 256, contextLength: 131072, normEpsilon: 1e-6 });
    requireBuiltIn(config, sizes, { largest: 62, period: 6 });
    if (config.has('attn_logit_softcapping'))
      config.refuse('attn_logit_softcapping', 'is set', 'llama.cpp has none for Gemma 3');
    if (config.flag('attention_bias', false))
      config.refuse('attention_bias', 'is true', 'llama.cpp has none');
    // llama.cpp has the pattern built in (src/models/gemma3.cpp).
    const pattern = config.size('sliding_window_pattern', 6);
    if (pattern !== 6) config.refuse('sliding_window_pattern', `is ${pattern}`, 'llama.cpp takes 6');
    const tied = config.flag('tie_word_embeddings', true);
    const cap = config.optionalNumber('final_logit_softcapping');
    const optional: [string, GgufValue][] =
      cap === undefined ? [] : [['gemma3.final_logit_softcapping', f32Value(cap)]];
    const layer = [
      norm('input_layernorm', 'attn_norm', sizes.hidden, 1),
      ...attention(sizes),
      norm('self_attn.q_norm', 'attn_q_norm', sizes.headDim, 1),
      norm('self_attn.k_norm', 'attn_k_norm', sizes.headDim, 1),
      norm('post_attention_layernorm', 'post_attention_norm', sizes.hidden, 1),
      norm('pre_feedforward_layernorm', 'ffn_norm', sizes.hidden, 1),
      ...gatedMlp(sizes),
      norm('post_feedforward_layernorm', 'post_ffw_norm', sizes.hidden, 1),
    ];
    const plain = decoderName(tied);
    return {
      ...sizes,
      metadata: [
        ...sizeMetadata('gemma3', sizes),
        ...ropeMetadata('gemma3', readRope(config, 1e6), config),
        ['gemma3.rope.freq_base_swa', f32Value(slidingTheta(config, 10000))],
        ...headMetadata('gemma3', sizes),
        ...optional,
        ['gemma3.attention.sliding_window', u32(config.size('sliding_window', 4096))],
      ],
      tensors: decoderTensors(sizes, layer, { tied, normShift: 1 }),
      extraTensors: [],
      // `language_model.model.` in checkpoints of before transformers 5, `model.language_model.` since.
      canonicalName: (name) => (VISION.test(name) ? undefined : plain(name.replace('language_model.', ''))),
    };
  },
};
