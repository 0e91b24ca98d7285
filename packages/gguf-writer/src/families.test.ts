// The pieces of the families. That files are those of llama.cpp's converter is shown by converter.test.ts, and that llama.cpp
// computes with them what transformers computes by logits.test.ts.
import { memorySink, memorySource, QloraError } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { ConfigReader } from './families/config';
import { llama3Factors, readRope } from './families/rope';
import { exportGguf, ggufFamilies, ggufFamilyOf } from './index';
import { permuteRows } from './permute';

const sizes = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 13,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  vocab_size: 300,
  query_pre_attn_scalar: 16,
};
const yarn = (more: object) => ({
  rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64, ...more },
});
const describeFamily = (architecture: string, more: object = {}) => {
  const family = ggufFamilies.get(architecture);
  if (!family) throw new Error(architecture);
  return family.describe(new ConfigReader({ ...sizes, ...more }));
};

describe('a family', () => {
  it("has llama.cpp's names", () => {
    const { tensors, canonicalName } = describeFamily('llama', { attention_bias: true, mlp_bias: true });
    const name = (from: string) => tensors.get(canonicalName(from) ?? '')?.name;
    expect(name('model.layers.12.self_attn.q_proj.weight')).toBe('blk.12.attn_q.weight');
    expect(name('model.layers.0.mlp.down_proj.bias')).toBe('blk.0.ffn_down.bias');
    expect(name('lm_head.weight')).toBe('output.weight');
    expect(name('layers.3.input_layernorm.weight')).toBe('blk.3.attn_norm.weight');
    expect(canonicalName('model.layers.0.self_attn.rotary_emb.inv_freq')).toBeUndefined();
    expect(
      describeFamily('llama', { tie_word_embeddings: true }).canonicalName('lm_head.weight'),
    ).toBeUndefined();
  });

  it('of a multimodal model leaves the vision part out, under either of its names', () => {
    const { canonicalName } = describeFamily('gemma3');
    expect(canonicalName('language_model.model.norm.weight')).toBe('model.norm.weight');
    expect(canonicalName('model.language_model.norm.weight')).toBe('model.norm.weight');
    expect(canonicalName('model.vision_tower.vision_model.head.weight')).toBeUndefined();
    expect(canonicalName('multi_modal_projector.mm_soft_emb_norm.weight')).toBeUndefined();
  });

  it('has the scale of attention that the largest Gemmas have, where llama.cpp takes a model for one of them', () => {
    expect(describeFamily('gemma2', { num_hidden_layers: 46, head_dim: 32 }).layers).toBe(46);
    expect(describeFamily('gemma3', { num_hidden_layers: 62, head_dim: 32 }).layers).toBe(62);
    expect(() => describeFamily('gemma3', { head_dim: 32 })).toThrow(/is 16. Llama.cpp takes 32/);
  });

  it('takes what a config says of YaRN if it is what llama.cpp computes with', () => {
    const attention_factor = 0.1 * Math.log(4) + 1;
    const { metadata } = describeFamily('qwen2', yarn({ attention_factor, beta_fast: 32, beta_slow: 1 }));
    expect(metadata.map(([key]) => key)).toContain('qwen2.rope.scaling.yarn_attn_factor');
  });

  it('is found by class, or by model type where there is none', () => {
    expect(ggufFamilyOf({ architectures: ['MistralForCausalLM'] }).architecture).toBe('llama');
    expect(ggufFamilyOf({ model_type: 'phi3' }).architecture).toBe('phi3');
    expect(() => ggufFamilyOf({ architectures: ['MambaForCausalLM'], model_type: 'llama' })).toThrow(
      /architectures: is "MambaForCausalLM".*LlamaForCausalLM/,
    );
  });

  it.each([
    ['llama', { num_hidden_layers: 0 }, /num_hidden_layers: is 0/],
    ['llama', { num_hidden_layers: 513 }, /num_hidden_layers: is 513. 512 are the most/],
    ['llama', { vocab_size: 2 ** 31 - 1 }, /vocab_size: is 2147483647. 1048576 are the most/],
    ['llama', { head_dim: 2 ** 31 - 2 }, /head_dim: is 2147483646. 65536 are the most/],
    ['qwen2', { rope_scaling: { rope_type: 'llama3', factor: 8 } }, /rope_type: is "llama3".*in Llama only/],
    ['llama', { num_key_value_heads: 3 }, /num_key_value_heads: is 3, of 4 heads/],
    ['llama', { head_dim: 15 }, /head_dim: is 15/],
    ['llama', { rope_scaling: { type: 'dynamic', factor: 2 } }, /rope_type: is "dynamic"/],
    ['llama', { rope_scaling: { type: 'linear', factor: '2' } }, /factor: is "2"/],
    ['llama', { hidden_act: 'gelu' }, /hidden_act: is "gelu". Llama.cpp has silu here/],
    ['qwen2', { use_sliding_window: true }, /use_sliding_window: is true/],
    ['qwen2', yarn({ attention_factor: 1 }), /attention_factor: is 1. Llama.cpp computes with 1.138/],
    ['qwen3', yarn({ beta_fast: 8 }), /beta_fast: is 8. Llama.cpp computes with 32/],
    ['qwen3', yarn({ mscale: 1, mscale_all_dim: 0.5 }), /mscale: is set/],
    ['llama', yarn({ truncate: false }), /truncate: is false/],
    ['gemma2', { query_pre_attn_scalar: 224 }, /query_pre_attn_scalar: is 224. Llama.cpp takes 16/],
    ['gemma2', { num_hidden_layers: 46, head_dim: 32, query_pre_attn_scalar: 32 }, /Llama.cpp takes 16/],
    ['gemma2', { final_logit_softcapping: null }, /final_logit_softcapping: is null/],
    [
      'gemma2',
      { layer_types: ['sliding_attention', 'sliding_attention'] },
      /has "sliding_attention" for layer 1/,
    ],
    ['gemma2', { sliding_window: null }, /sliding_window: is null/],
    ['gemma3', { hidden_activation: 'silu' }, /hidden_activation: is "silu"/],
    ['gemma3', { use_bidirectional_attention: true }, /use_bidirectional_attention: is true/],
    ['gemma2', { rope_theta: 5e5 }, /rope_theta: is 500000/],
    ['gemma3', { sliding_window_pattern: 4 }, /sliding_window_pattern: is 4/],
    [
      'phi3',
      { rope_scaling: { type: 'longrope', long_factor: [1] } },
      /long_factor: has 1 factors. 8 are needed/,
    ],
  ])('%s is refused where llama.cpp has no form of it', (architecture, more, message) => {
    expect(() => describeFamily(architecture, more)).toThrow(QloraError);
    expect(() => describeFamily(architecture, more)).toThrow(message);
  });
});

it.each([
  ['llama', { model_type: 'mistral', sliding_window: 64, max_position_embeddings: 256 }, 1],
  ['llama', { model_type: 'mistral', max_position_embeddings: 8192 }, 1],
  ['llama', { model_type: 'mistral', sliding_window: null, max_position_embeddings: 8192 }, 0],
  ['llama', { model_type: 'mistral', sliding_window: 256, max_position_embeddings: 256 }, 0],
  ['llama', { model_type: 'llama', sliding_window: 64, max_position_embeddings: 256 }, 0],
  ['phi3', { sliding_window: 64, max_position_embeddings: 256 }, 1],
])('%s with %j has %d warnings of a window that llama.cpp does not compute', (architecture, more, count) => {
  const warnings = describeFamily(architecture, more).warnings ?? [];
  expect(warnings).toHaveLength(count);
  for (const warning of warnings) expect(warning).toMatch(/sliding_window is \d+, but llama\.cpp/);
});

it('rope_scaling goes before rope_parameters, as in transformers', () => {
  const both = { rope_parameters: { rope_type: 'default' }, rope_scaling: { type: 'linear', factor: 2 } };
  expect(readRope(new ConfigReader(both)).type).toBe('linear');
  expect(readRope(new ConfigReader({ ...both, rope_scaling: null })).type).toBe('default');
});

it('rows of q and k have the halves of each head interleaved', () => {
  const rows = Float32Array.of(0, 1, 2, 3, 10, 11, 12, 13);
  expect([...permuteRows(rows, 1, 4)]).toEqual([0, 2, 1, 3, 10, 12, 11, 13]);
});

it('Llama 3.1 has factors of its rotary frequencies: 1 for short wavelengths, the whole factor for long ones', () => {
  const rope_scaling = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };
  const factors = llama3Factors(readRope(new ConfigReader({ rope_theta: 500000, rope_scaling })), 128);
  expect(factors?.length).toBe(64);
  expect(factors?.[0]).toBe(1);
  expect(factors?.[63]).toBe(8);
  expect([...(factors ?? [])].every((x, i, all) => i === 0 || x >= (all[i - 1] ?? 0))).toBe(true);
});

it('a tokenizer that llama.cpp has no form of is refused, and nothing is left', async () => {
  const bytes = memorySink();
  let aborted = false;
  const abort = async () => {
    aborted = true;
  };
  const model = {
    source: memorySource([]),
    config: { ...sizes, model_type: 'llama' },
    tokenizer: { tokenizer: { model: { type: 'WordPiece' } }, config: {} },
    type: 'f32',
    name: 'x',
  } as const;
  await expect(exportGguf(model, { ...bytes, abort })).rejects.toThrow(
    /tokenizer.json: model: is of type "WordPiece"/,
  );
  expect(aborted).toBe(true);
});
