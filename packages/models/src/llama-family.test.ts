// Which tensors make a Llama, and what is said of those that do not.
import { createBackend } from '@qlora/backend';
import { memorySource, type Tensor, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { linearLayers, llamaFamily, llamaTensors, parseLlamaConfig } from './index';
import { randomTensors, tinyConfigJson } from './testing';

const parse = (edit: Record<string, unknown> = {}) => parseLlamaConfig({ ...tinyConfigJson, ...edit });

it('the tensors of a Llama are those of its config', () => {
  const shapes = llamaTensors(parse({ tie_word_embeddings: false }));
  expect(shapes.size).toBe(2 * 9 + 3);
  expect(Object.fromEntries(shapes)).toMatchObject({
    'model.embed_tokens.weight': [20, 16],
    'model.layers.1.self_attn.q_proj.weight': [16, 16],
    'model.layers.1.self_attn.k_proj.weight': [8, 16],
    'model.layers.1.self_attn.o_proj.weight': [16, 16],
    'model.layers.1.mlp.gate_proj.weight': [24, 16],
    'model.layers.1.mlp.down_proj.weight': [16, 24],
    'model.layers.1.input_layernorm.weight': [16],
    'model.norm.weight': [16],
    'lm_head.weight': [20, 16],
  });
  expect(llamaTensors(parse()).has('lm_head.weight')).toBe(false);
  const wide = llamaTensors(parse({ head_dim: 6, attention_bias: true, mlp_bias: true }));
  expect(wide.get('model.layers.0.self_attn.o_proj.weight')).toEqual([16, 24]);
  expect(wide.get('model.layers.0.self_attn.k_proj.bias')).toEqual([12]);
  expect(wide.get('model.layers.0.mlp.up_proj.bias')).toEqual([24]);
});

it('its linear layers are seven a block, with their sizes; the output embedding is none', () => {
  const layers = linearLayers({ family: llamaFamily, config: parse({ tie_word_embeddings: false }) });
  expect(layers).toHaveLength(14);
  expect(layers).toContainEqual({ name: 'model.layers.0.mlp.down_proj', outFeatures: 16, inFeatures: 24 });
});

describe('weights that are no match are refused before anything is loaded', () => {
  const build = (edit: (tensors: Map<string, Tensor>) => void) => {
    const config = parse();
    const tensors = randomTensors(config);
    edit(tensors);
    const reads: string[] = [];
    const source = memorySource(tensors, { label: 'weights' });
    const read = (name: string) => {
      reads.push(name);
      return source.read(name);
    };
    const watched = { ...source, read };
    return { reads, built: llamaFamily.build(createBackend(), config, watched) };
  };
  const norm = 'model.layers.1.input_layernorm.weight';
  it.each<[(tensors: Map<string, Tensor>) => void, RegExp]>([
    [(t) => t.delete(norm), /weights: no tensor named "model\.layers\.1\.input_layernorm\.weight"/],
    [
      (t) => t.set(norm, tensor('f32', [17], new Float32Array(17))),
      /input_layernorm\.weight: has shape \[17\], config\.json asks for \[16\]/,
    ],
    [(t) => t.set(norm, tensor('f32', [1, 16], new Float32Array(16))), /has shape \[1, 16\]/],
    [(t) => t.set(norm, tensor('u8', [16], new Uint8Array(16))), /input_layernorm\.weight: is u8/],
  ])('%#', async (edit, message) => {
    const { reads, built } = build(edit);
    await expect(built).rejects.toThrow(message);
    expect(reads).toEqual([]);
  });
  it('a value that is not finite is named', async () => {
    const { built } = build((t) => t.get(norm)?.data.fill(Number.NaN as never, 3, 4));
    await expect(built).rejects.toThrow(/weights: model\.layers\.1\.input_layernorm\.weight: value 3 is NaN/);
  });
});
