// Gemma 2 (conversion/gemma.py, Gemma2Model): four norms a layer, whose weights are stored less 1; embeddings always tied;
// tanh caps on attention and output; every other layer with sliding attention, which llama.cpp knows by itself.
import { f32Value, u32 } from '../value';
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
import { readRope } from './rope';

/** The architecture `gemma2`. */
export const gemma2: GgufFamily = {
  architecture: 'gemma2',
  classes: ['Gemma2ForCausalLM'],
  modelTypes: ['gemma2'],

  describe(config) {
    const sizes = readSizes(config, { keyHeads: 4, headDim: 256, contextLength: 8192, normEpsilon: 1e-6 });
    requireBuiltIn(config, sizes, { largest: 46, period: 2 });
    for (const field of ['attn_logit_softcapping', 'final_logit_softcapping']) {
      if (config.isNull(field)) config.refuse(field, 'is null', 'llama.cpp always has one for Gemma 2');
    }
    const { theta, type, parameters } = readRope(config);
    // The file does not say it; llama.cpp takes its default.
    if (theta !== 10000) config.refuse('rope_theta', `is ${theta}`, 'llama.cpp takes 10000 for Gemma 2');
    if (type !== 'default')
      parameters.refuse('rope_type', `is "${type}"`, 'llama.cpp does not scale Gemma 2');
    if (config.flag('attention_bias', false))
      config.refuse('attention_bias', 'is true', 'llama.cpp has none');
    const layer = [
      norm('input_layernorm', 'attn_norm', sizes.hidden, 1),
      ...attention(sizes),
      norm('post_attention_layernorm', 'post_attention_norm', sizes.hidden, 1),
      norm('pre_feedforward_layernorm', 'ffn_norm', sizes.hidden, 1),
      ...gatedMlp(sizes),
      norm('post_feedforward_layernorm', 'post_ffw_norm', sizes.hidden, 1),
    ];
    return {
      ...sizes,
      metadata: [
        ...sizeMetadata('gemma2', sizes),
        ...headMetadata('gemma2', sizes),
        ['gemma2.attn_logit_softcapping', f32Value(config.number('attn_logit_softcapping', 50))],
        ['gemma2.final_logit_softcapping', f32Value(config.number('final_logit_softcapping', 30))],
        ['gemma2.attention.sliding_window', u32(config.size('sliding_window', 4096))],
      ],
      tensors: decoderTensors(sizes, layer, { tied: true, normShift: 1 }),
      extraTensors: [],
      canonicalName: decoderName(true),
    };
  },
};
