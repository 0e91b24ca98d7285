// What an adapter adds to which module, by adapters that PEFT itself saved (tooling/conformance/llama-cpp/lora.py): the scaling must
// be the one that PEFT computes with.
import { readFileSync } from 'node:fs';
import { QloraError, type TensorInfo } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { loraModules, parseLoraConfig } from './index';

type Saved = [key: string, dtype: 'f32' | 'f16' | 'bf16', shape: number[]];
const golden = JSON.parse(
  readFileSync(new URL('../../gguf-writer/src/goldens/lora.json', import.meta.url), 'utf8'),
) as {
  adapters: Record<string, { config: object; tensors: Saved[]; scaling: Record<string, number> }>;
};
const infos = (tensors: readonly Saved[]): TensorInfo[] =>
  tensors.map(([name, dtype, shape]) => ({ name, dtype, shape }));

it.each(Object.entries(golden.adapters))('of %s, modules have the scaling of PEFT', (_, adapter) => {
  const modules = loraModules(adapter.config, infos(adapter.tensors), 'adapter');
  expect(Object.fromEntries(modules.map(({ name, scaling }) => [name, scaling]))).toEqual(adapter.scaling);
  const keys = modules.flatMap(({ a, b }) => [a, b]);
  expect(keys.sort()).toEqual(adapter.tensors.map(([key]) => key).sort());
});

const config = { peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: ['q_proj'], bias: 'none' };
const pair = (module: string, rank = 2): Saved[] => [
  [`base_model.model.${module}.lora_A.weight`, 'f32', [rank, 8]],
  [`base_model.model.${module}.lora_B.weight`, 'f32', [6, rank]],
];

it('a pattern means the end of a name from a dot on, and the first one counts', () => {
  const tensors = infos([
    ...pair('layers.1.q_proj', 3),
    ...pair('layers.1.v_proj'),
    ...pair('layers.11.q_proj'),
  ]);
  const modules = loraModules(
    {
      ...config,
      rank_pattern: { '1.q_proj': 3, q_proj: 2 },
      alpha_pattern: { 'layers.1.(q|k)_proj': 6, proj: 9 },
    },
    tensors,
    'adapter',
  );
  expect(modules.map(({ rank, scaling }) => [rank, scaling])).toEqual([
    [3, 2],
    [2, 2],
    [2, 2],
  ]);
});

it('the untouched weight of an adapted embedding, which PEFT writes too, is passed over', () => {
  const tensors = infos([
    ...pair('layers.0.q_proj'),
    ['base_model.model.embed_tokens.base_layer.weight', 'f32', [9, 8]],
    ['base_model.model.embed_tokens.lora_embedding_A', 'f32', [2, 9]],
    ['base_model.model.embed_tokens.lora_embedding_B', 'f32', [8, 2]],
  ]);
  expect(loraModules(config, tensors, 'adapter').map(({ name }) => name)).toEqual([
    'layers.0.q_proj',
    'embed_tokens',
  ]);
});

describe('is refused', () => {
  const good = pair('layers.0.q_proj');
  it.each<[what: string, change: object, tensors: Saved[], message: RegExp]>([
    ['another method', { peft_type: 'LOHA' }, good, /peft_type is "LOHA"/],
    ['DoRA', { use_dora: true }, good, /use_dora is true/],
    ['whole modules', { modules_to_save: ['lm_head'] }, good, /modules_to_save is \["lm_head"\]/],
    ['biases', { bias: 'lora_only' }, good, /bias is "lora_only"/],
    ['a Conv1D', { fan_in_fan_out: true }, good, /fan_in_fan_out is true/],
    [
      'a base that training changed',
      { init_lora_weights: 'pissa_niter_4' },
      good,
      /init_lora_weights is "pissa_niter_4"/,
    ],
    ['a rank that is none', { rank_pattern: { q_proj: 0 } }, good, /rank_pattern\.q_proj/],
    [
      'a pattern that is none',
      { alpha_pattern: { '(': 2 } },
      good,
      /alpha_pattern: "\(" is no regular expression/,
    ],
    ['another rank', { r: 3 }, good, /A is \[2, 8\] and B \[6, 2\], the configuration says rank 3/],
    ['a missing half', {}, good.slice(0, 1), /q_proj: lora_B is missing/],
    ['nothing', {}, [], /holds no adapter weights/],
    [
      'a magnitude',
      {},
      [...good, ['base_model.model.x.lora_magnitude_vector', 'f32', [8]]],
      /is of a variant/,
    ],
    ['a weight', {}, [...good, ['base_model.model.lm_head.weight', 'f32', [8, 8]]], /a weight of its own/],
    [
      'two of a kind',
      {},
      [...good, ['base_model.model.layers.0.q_proj.lora_embedding_A', 'f32', [2, 8]]],
      /layers\.0\.q_proj has two of A/,
    ],
  ])('%s', (_, change, tensors, message) => {
    const read = () => loraModules({ ...config, ...change }, infos(tensors), 'adapter');
    expect(read).toThrow(QloraError);
    expect(read).toThrow(message);
  });

  it('what differs by module, by those who compute with one rank and alpha for all', () => {
    expect(() => parseLoraConfig({ ...config, alpha_pattern: { q_proj: 2 } })).toThrow(/alpha_pattern is/);
    expect(parseLoraConfig({ ...config, init_lora_weights: 'gaussian' }).rank).toBe(2);
  });
});
