// What a config.json means, and what of it is refused.
import { describe, expect, it } from 'vitest';
import { familyOf, modelTypes, parseLlamaConfig } from './index';
import { tinyConfigJson } from './testing';

const parse = (edit: Record<string, unknown>) => parseLlamaConfig({ ...tinyConfigJson, ...edit }, 'file');
const without = (...fields: string[]) =>
  parseLlamaConfig(
    Object.fromEntries(Object.entries(tinyConfigJson).filter(([key]) => !fields.includes(key))),
  );

describe('a config', () => {
  it('is read field by field', () => {
    expect(
      parse({
        attention_bias: true,
        mlp_bias: true,
        eos_token_id: [2, 3],
        rope_theta: 5e5,
        hidden_act: 'silu',
      }),
    ).toEqual({
      modelType: 'llama',
      hiddenSize: 16,
      intermediateSize: 24,
      layers: 2,
      heads: 4,
      keyHeads: 2,
      headDim: 4,
      vocabularySize: 20,
      contextLength: 24,
      normEpsilon: 1e-5,
      ropeTheta: 5e5,
      ropeScaling: { type: 'default' },
      tiedEmbeddings: true,
      attentionBias: true,
      mlpBias: true,
      bosTokenId: 1,
      eosTokenIds: [2, 3],
    });
  });
  it("has transformers' defaults for what is left out", () => {
    expect(
      without(
        'num_key_value_heads',
        'max_position_embeddings',
        'rms_norm_eps',
        'tie_word_embeddings',
        'bos_token_id',
      ),
    ).toMatchObject({
      keyHeads: 4,
      contextLength: 2048,
      normEpsilon: 1e-6,
      ropeTheta: 10000,
      tiedEmbeddings: false,
      attentionBias: false,
      bosTokenId: undefined,
      eosTokenIds: [],
    });
  });
  it('may have heads that do not make up the hidden size', () => {
    expect(parse({ head_dim: 6 }).headDim).toBe(6);
    expect(parse({ head_dim: 6, num_attention_heads: 6 }).headDim).toBe(6);
  });
  it('has one end token, several, or none', () => {
    expect(parse({ eos_token_id: 2 }).eosTokenIds).toEqual([2]);
    expect(parse({ eos_token_id: null }).eosTokenIds).toEqual([]);
  });
  it('names rope scaling in the old way and the new', () => {
    const linear = { type: 'linear', factor: 4 };
    expect(parse({ rope_scaling: { type: 'linear', factor: 4 } }).ropeScaling).toEqual(linear);
    expect(parse({ rope_scaling: { rope_type: 'linear', factor: 4 } }).ropeScaling).toEqual(linear);
    const both = parse({
      rope_parameters: { rope_type: 'default' },
      rope_scaling: { type: 'linear', factor: 4 },
    });
    expect(both.ropeScaling).toEqual({ type: 'linear', factor: 4 });
    const modern = parse({ rope_parameters: { rope_type: 'linear', factor: 4, rope_theta: 77 } });
    expect([modern.ropeScaling, modern.ropeTheta]).toEqual([linear, 77]);
    expect(
      parse({
        rope_scaling: {
          rope_type: 'llama3',
          factor: 8,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 8192,
        },
      }).ropeScaling,
    ).toEqual({
      type: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalContext: 8192,
    });
  });
});

describe('refused, naming the file and the field', () => {
  const llama3 = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };
  it.each([
    [{ hidden_size: -1 }, /^file: hidden_size: /],
    [{ hidden_size: 16.5 }, /^file: hidden_size: /],
    [{ hidden_size: null }, /^file: hidden_size: /],
    [{ vocab_size: Number.POSITIVE_INFINITY }, /^file: vocab_size: /],
    [{ num_hidden_layers: 1025 }, /^file: num_hidden_layers: /],
    [{ max_position_embeddings: 1e7, head_dim: 128 }, /max_position_embeddings 10000000 needs tables/],
    [{ max_position_embeddings: 0 }, /^file: max_position_embeddings: /],
    [{ tie_word_embeddings: 'yes' }, /^file: tie_word_embeddings: /],
    [{ eos_token_id: -1 }, /^file: eos_token_id: /],
    [{ rope_theta: 0 }, /^file: rope_theta: /],
    [{ num_key_value_heads: 3 }, /num_key_value_heads 3 does not divide num_attention_heads 4/],
    [{ num_attention_heads: 6 }, /num_attention_heads 6 does not divide hidden_size 16/],
    [{ head_dim: 5 }, /head_dim 5 is odd\. Rotary embedding needs pairs/],
    [{ hidden_act: 'gelu' }, /hidden_act is "gelu"\. Only silu is computed/],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0\.5/],
    [{ sliding_window: 12 }, /sliding_window is 12/],
    [
      { rope_scaling: { type: 'dynamic', factor: 2 } },
      /rope scaling is "dynamic"\. Default, linear and llama3/,
    ],
    [{ rope_scaling: { type: 'linear' } }, /rope scaling "linear" lacks factor/],
    [
      { rope_scaling: { ...llama3, low_freq_factor: undefined } },
      /rope scaling "llama3" lacks low_freq_factor/,
    ],
    [
      { rope_scaling: { ...llama3, low_freq_factor: 4 } },
      /low_freq_factor that is not below high_freq_factor/,
    ],
    [{ rope_scaling: { ...llama3, factor: 0 } }, /rope_scaling\.factor: /],
  ])('%j', (edit, message) => {
    expect(() => parse(edit)).toThrow(message);
  });
  it('a window that the context does not reach is no obstacle', () => {
    expect(parse({ sliding_window: 24 }).contextLength).toBe(24);
  });
  it.each([null, [], 'llama', 7])('a config that is %j', (json) => {
    expect(() => parseLlamaConfig(json, 'file')).toThrow(/^file: /);
  });
});

describe('families', () => {
  it('are found by model_type', () => {
    expect(familyOf({ model_type: 'llama' }).modelTypes).toContain('llama');
    expect(modelTypes()).toContain('llama');
  });
  it.each([
    [{ model_type: 'mamba' }, /^file: model_type is "mamba", .* not supported\. Supported: llama/],
    [{ model_type: 'constructor' }, /model_type is "constructor"/],
    [{}, /^file: has no model_type\. Supported: llama/],
    [null, /has no model_type/],
  ])('%j is refused', (json, message) => {
    expect(() => familyOf(json, 'file')).toThrow(message);
  });
});
