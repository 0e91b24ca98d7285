// Tiny models of every family and tokenizer kind, made from a seed: what the tests export, and what the conformance script gives
// to llama.cpp's own converter, so that both speak of the same weights.
import type { GgufType } from '../recipes';
import type { TokenizerFiles } from '../tokenizer/files';
import { byteLevelTokenizer, decoder, pieces, piecesJson, special } from './tiny-tokenizers';

/** A model to try. */
export interface TinyModel {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tokenizer: TokenizerFiles;
  /** Name of llama.cpp's pre-tokenizer that the tokenizer must get, where it is byte-level. */
  readonly pre?: string;
  readonly dtype: 'f32' | 'f16' | 'bf16';
  /** What its weights are multiplied by, for logits that are not nearly all the same. Default 1. */
  readonly spread?: number;
  readonly types: readonly GgufType[];
  /** Types that are tried with an importance matrix too. */
  readonly weighted?: readonly GgufType[];
  /** Front of the names in the file, where it is not that of a plain model, and tensors that are to be left out. */
  readonly rename?: (name: string) => string;
  readonly dropped?: Readonly<Record<string, readonly number[]>>;
}

const sizes = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  vocab_size: 470,
};
const gemmaSpecial = {
  tokenizer_class: 'GemmaTokenizer',
  bos_token: '<bos>',
  eos_token: '<eos>',
  pad_token: '<pad>',
  unk_token: '<unk>',
  add_bos_token: true,
  add_eos_token: false,
  ...decoder({
    0: ['<pad>', true],
    1: ['<eos>', true],
    2: ['<bos>', true],
    3: ['<unk>', true],
    4: ['\n\n', false],
    5: ['▁▁', false],
    462: ['<unused1>', false],
  }),
};
const PLAIN: readonly GgufType[] = ['f32', 'f16', 'bf16', 'q8_0'];
const COMMON: readonly GgufType[] = [...PLAIN, 'q4_0', 'q4_k_m', 'q5_k_m', 'q6_k', 'iq4_nl'];
const MIXED: readonly GgufType[] = [
  ...['q6_k', 'q5_k_m', 'q5_k_s', 'q5_1', 'q5_0', 'q4_k_m', 'q4_k_s', 'q4_1', 'q4_0'],
  ...['iq4_nl', 'iq4_xs', 'q3_k_l', 'q3_k_m', 'q3_k_s', 'q2_k'],
] as GgufType[];
const wide = {
  hidden_size: 256,
  intermediate_size: 256,
  num_hidden_layers: 17,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  head_dim: 16,
  vocab_size: 470,
};

/** All of them. */
export const tinyModels: readonly TinyModel[] = [
  {
    name: 'llama-2',
    config: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...sizes,
      rope_theta: 10000,
      rope_scaling: { type: 'linear', factor: 2 },
      bos_token_id: 1,
      eos_token_id: 2,
    },
    tokenizer: pieces('llama', {
      ...special,
      tokenizer_class: 'LlamaTokenizer',
      add_bos_token: true,
      add_eos_token: false,
      chat_template: '{{ messages }}',
      ...decoder({ 0: ['<unk>', true], 1: ['<s>', true], 2: ['</s>', true] }),
    }),
    dtype: 'f32',
    types: COMMON,
  },
  {
    name: 'llama-model-only',
    config: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...sizes,
      tie_word_embeddings: true,
      attention_bias: true,
      mlp_bias: true,
      bos_token_id: 1,
      eos_token_id: 2,
      pad_token_id: 0,
    },
    tokenizer: {
      ...pieces('llama', { ...special, tokenizer_class: 'LlamaTokenizer', add_bos_token: true }, false),
      addedTokens: { '<tool>': 460 },
      chatTemplate: 'a {{ template }}',
    },
    dtype: 'f16',
    types: COMMON,
  },
  {
    name: 'llama-3',
    config: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...sizes,
      tie_word_embeddings: true,
      rope_theta: 500000,
      rope_scaling: {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 128,
      },
      bos_token_id: 450,
      eos_token_id: 451,
    },
    tokenizer: byteLevelTokenizer('llama-bpe', { bos_token: '<|begin|>' }),
    pre: 'llama-bpe',
    dtype: 'bf16',
    types: COMMON,
  },
  {
    name: 'mistral',
    config: {
      architectures: ['MistralForCausalLM'],
      model_type: 'mistral',
      ...sizes,
      head_dim: 32,
      sliding_window: null,
      rope_theta: 1000000,
      bos_token_id: 1,
      eos_token_id: 2,
      vocab_size: 460,
    },
    tokenizer: piecesJson('llama', {
      ...special,
      tokenizer_class: 'LlamaTokenizer',
      add_bos_token: true,
      add_eos_token: false,
    }),
    dtype: 'bf16',
    types: COMMON,
  },
  {
    name: 'smollm2',
    config: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...sizes,
      hidden_size: 72,
      head_dim: 18,
      tie_word_embeddings: true,
    },
    tokenizer: byteLevelTokenizer('smollm', {
      bos_token: '<|begin|>',
      pad_token: '<|endoftext|>',
      unk_token: '<|endoftext|>',
    }),
    pre: 'smollm',
    dtype: 'bf16',
    types: COMMON,
  },
  {
    name: 'qwen2',
    config: {
      architectures: ['Qwen2ForCausalLM'],
      model_type: 'qwen2',
      ...sizes,
      tie_word_embeddings: true,
      rope_theta: 1000000,
      use_sliding_window: false,
      rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 128 },
      bos_token_id: 450,
      eos_token_id: 451,
    },
    tokenizer: byteLevelTokenizer('qwen2', {
      pad_token: '<|endoftext|>',
      chat_template: '{% for m in messages %}{{ m }}{% endfor %}',
    }),
    pre: 'qwen2',
    dtype: 'bf16',
    types: COMMON,
  },
  {
    name: 'qwen3',
    config: {
      architectures: ['Qwen3ForCausalLM'],
      model_type: 'qwen3',
      ...sizes,
      head_dim: 32,
      rope_theta: 1000000,
      bos_token_id: 450,
      eos_token_id: 451,
    },
    tokenizer: byteLevelTokenizer('qwen2', { pad_token: '<|endoftext|>' }),
    pre: 'qwen2',
    dtype: 'f32',
    types: COMMON,
  },
  {
    name: 'gemma2',
    config: {
      architectures: ['Gemma2ForCausalLM'],
      model_type: 'gemma2',
      ...sizes,
      head_dim: 32,
      sliding_window: 256,
      attn_logit_softcapping: 50.5,
      final_logit_softcapping: 30.5,
      query_pre_attn_scalar: 32,
      bos_token_id: 2,
      eos_token_id: 1,
      pad_token_id: 0,
    },
    tokenizer: pieces('gemma', gemmaSpecial),
    dtype: 'f16',
    types: COMMON,
  },
  {
    name: 'gemma3',
    config: {
      architectures: ['Gemma3ForCausalLM'],
      model_type: 'gemma3_text',
      ...sizes,
      head_dim: 32,
      sliding_window: 256,
      rope_theta: 1000000,
      rope_local_base_freq: 10000,
      rope_scaling: { rope_type: 'linear', factor: 8 },
      query_pre_attn_scalar: 32,
      bos_token_id: 2,
      eos_token_id: [1, 462],
      pad_token_id: 0,
    },
    tokenizer: pieces('gemma', gemmaSpecial),
    dtype: 'bf16',
    types: COMMON,
  },
  {
    name: 'gemma3-vision',
    config: {
      architectures: ['Gemma3ForConditionalGeneration'],
      model_type: 'gemma3',
      bos_token_id: 2,
      eos_token_id: 1,
      text_config: {
        model_type: 'gemma3_text',
        ...sizes,
        head_dim: 32,
        query_pre_attn_scalar: 32,
        sliding_window: 128,
      },
      vision_config: { model_type: 'siglip_vision_model' },
    },
    tokenizer: pieces('gemma', gemmaSpecial, false),
    dtype: 'f32',
    types: PLAIN,
    rename: (name) => `language_model.${name}`,
    dropped: {
      'vision_tower.vision_model.head.weight': [8, 8],
      'multi_modal_projector.mm_soft_emb_norm.weight': [8],
    },
  },
  {
    name: 'phi3',
    config: {
      architectures: ['Phi3ForCausalLM'],
      model_type: 'phi3',
      ...sizes,
      original_max_position_embeddings: 512,
      sliding_window: 255,
      rope_theta: 10000,
      bos_token_id: 1,
      eos_token_id: 2,
      pad_token_id: 2,
    },
    tokenizer: pieces('llama', {
      ...special,
      tokenizer_class: 'LlamaTokenizer',
      pad_token: '</s>',
      add_bos_token: false,
      add_eos_token: false,
      ...decoder({
        0: ['<unk>', true],
        1: ['<s>', true],
        2: ['</s>', false],
        460: ['<|endoftext|>', true],
        461: ['<|x▁y|>', false],
      }),
    }),
    dtype: 'bf16',
    types: COMMON,
  },
  {
    name: 'phi4',
    config: {
      architectures: ['Phi3ForCausalLM'],
      model_type: 'phi3',
      ...sizes,
      max_position_embeddings: 4096,
      original_max_position_embeddings: 512,
      partial_rotary_factor: 0.75,
      tie_word_embeddings: true,
      rope_scaling: {
        type: 'longrope',
        long_factor: [1.01, 1.5, 2.1, 3.2, 5.3, 8.4],
        short_factor: [1.01, 1.02, 1.05, 1.1, 1.2, 1.3],
      },
      bos_token_id: 451,
      eos_token_id: 451,
      pad_token_id: 451,
    },
    tokenizer: byteLevelTokenizer('gpt-4o', { tokenizer_class: 'GPT2Tokenizer', bos_token: '<|endoftext|>' }),
    pre: 'gpt-4o',
    dtype: 'bf16',
    types: COMMON,
  },
  {
    name: 'deep-llama',
    config: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...sizes,
      ...wide,
      bos_token_id: 450,
      eos_token_id: 451,
    },
    tokenizer: byteLevelTokenizer('gpt-2', { bos_token: '<|begin|>' }),
    pre: 'gpt-2',
    dtype: 'bf16',
    types: ['f32', ...MIXED],
    weighted: ['q4_k_m', 'q4_0', 'q5_0', 'iq4_nl', 'q3_k_m'],
  },
  {
    name: 'deep-phi3',
    config: {
      architectures: ['Phi3ForCausalLM'],
      model_type: 'phi3',
      ...sizes,
      ...wide,
      head_dim: 32,
      num_hidden_layers: 9,
      num_key_value_heads: 8,
      intermediate_size: 512,
      tie_word_embeddings: true,
      bos_token_id: 451,
      eos_token_id: 451,
      pad_token_id: 451,
    },
    tokenizer: byteLevelTokenizer('tekken', { tokenizer_class: 'GPT2Tokenizer', bos_token: '<|endoftext|>' }),
    pre: 'tekken',
    dtype: 'bf16',
    types: ['f32', ...MIXED],
  },
];
