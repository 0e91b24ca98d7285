// The tiny models again, as goldens/logits.json has them: weights eight times as large, so that logits spread and attention chooses,
// and windows, contexts and caps small enough to matter within 64 tokens.
import type { ConfigJson } from '../families/config';
import { type TinyModel, tinyModels } from './tiny-models';

function variant(name: string, base: string, config: ConfigJson, more: Partial<TinyModel> = {}): TinyModel {
  const model = tinyModels.find((candidate) => candidate.name === base);
  if (!model) throw new Error(`no tiny model ${base}`);
  return {
    ...model,
    name,
    config: { ...model.config, ...config },
    spread: 8,
    types: ['f32', 'f16'],
    ...more,
  };
}

const gemma3 = {
  num_hidden_layers: 7, // the sixth is the first with full attention
  sliding_window: 16,
};
const tinyVision = {
  model_type: 'siglip_vision_model',
  ...{ hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1 },
  ...{ image_size: 28, patch_size: 14 },
};
const longRope = {
  type: 'longrope',
  long_factor: [1.01, 1.5, 2.1, 3.2, 5.3, 8.4],
  short_factor: [1.01, 1.02, 1.05, 1.1, 1.2, 1.3],
};

/** All of them. */
export const logitsModels: readonly TinyModel[] = [
  variant('llama-linear', 'llama-2', {}),
  variant('llama-biases', 'llama-model-only', {}),
  variant('llama-3', 'llama-3', {}),
  variant('mistral', 'mistral', {}),
  variant('smollm2', 'smollm2', {}),
  variant('qwen2', 'qwen2', { rope_scaling: null }),
  variant('qwen2-yarn', 'qwen2', {
    rope_theta: 10000,
    rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 128 },
  }),
  variant('qwen3', 'qwen3', {}),
  // In bf16: where a Gemma is f16, the converter rounds the norms' 1 + weight to f16.
  variant(
    'gemma2',
    'gemma2',
    { num_hidden_layers: 4, sliding_window: 16, attn_logit_softcapping: 4.5, final_logit_softcapping: 6.5 },
    { dtype: 'bf16' },
  ),
  variant('gemma3', 'gemma3', { ...gemma3, final_logit_softcapping: 6.5 }),
  variant('gemma3-vision', 'gemma3-vision', {
    text_config: {
      model_type: 'gemma3_text',
      ...{ hidden_size: 64, intermediate_size: 96, num_attention_heads: 4, num_key_value_heads: 2 },
      ...{ head_dim: 32, query_pre_attn_scalar: 32, max_position_embeddings: 512, vocab_size: 470 },
      ...{ rms_norm_eps: 1e-5, ...gemma3 },
    },
    vision_config: tinyVision,
  }),
  variant('phi3', 'phi3', {}),
  variant('phi4-short', 'phi4', { rope_scaling: longRope }),
  variant('phi4-long', 'phi4', { original_max_position_embeddings: 32, rope_scaling: longRope }),
];
