// LoRA's configuration, targets, initialization and merging. That PEFT computes the same with the same files is shown by
// the goldens of `@qlora/models`.
import { Tape } from '@qlora/autograd';
import { createBackend } from '@qlora/backend';
import { memorySource, QloraError, random, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import {
  adapterMetadata,
  adapterTensors,
  lora,
  loraConfig,
  loraScaling,
  matchTargetModules,
  mergedSource,
  methodOf,
  parseLoraConfig,
  readAdapter,
  type StoredAdapter,
  scaleAdapter,
  writeLoraConfig,
} from './index';

const layer = { name: 'model.layers.0.q_proj', inFeatures: 5, outFeatures: 3 };
const a = tensor(
  'f32',
  [2, 5],
  Float32Array.from({ length: 10 }, (_, i) => i - 4),
);
const b = tensor('f32', [3, 2], Float32Array.of(1, 0, 0, 1, 2, -1));
const factors = new Map([
  ['lora_A.weight', a],
  ['lora_B.weight', b],
]);
const config = loraConfig({ rank: 2, alpha: 6 });
const stored: StoredAdapter = {
  method: lora,
  config,
  modules: new Map([[layer.name, factors]]),
  label: 'adapter',
};

describe('configuration', () => {
  const file = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['q_proj'] };
  it('survives its file', () => {
    const original = loraConfig({
      rank: 4,
      alpha: 8,
      dropout: 0.1,
      targetModules: ['q_proj'],
      rankStabilized: true,
      baseModel: 'base',
    });
    expect(parseLoraConfig(writeLoraConfig(original))).toEqual(original);
  });
  it('scales by alpha / rank, or by alpha / √rank when stabilized', () => {
    expect(loraScaling(loraConfig({ rank: 4, alpha: 8 }))).toBe(2);
    expect(loraScaling(loraConfig({ rank: 4, alpha: 8, rankStabilized: true }))).toBe(4);
  });
  it.each([
    ['use_dora', true],
    ['bias', 'all'],
    ['modules_to_save', ['lm_head']],
    ['rank_pattern', { q_proj: 8 }],
    ['fan_in_fan_out', true],
    ['layers_to_transform', [0]],
  ])('is refused where it says what is not computed: %s', (field, value) => {
    expect(() => parseLoraConfig({ ...file, [field]: value })).toThrow(
      new RegExp(`${field} is .*does not compute`),
    );
  });
  it('is refused where it is wrong, naming the field', () => {
    expect(() => parseLoraConfig({ ...file, r: 0 })).toThrow(/adapter_config.json: r: /);
    expect(() => parseLoraConfig({ ...file, target_modules: 7 })).toThrow(/target_modules/);
    expect(() => methodOf({ peft_type: 'IA3' })).toThrow(/peft_type is "IA3"\. Known: LORA/);
    expect(() => loraConfig({ dropout: 1 })).toThrow(/dropout is 1/);
  });
});

describe('target modules', () => {
  const modules = [
    'model.layers.0.self_attn.q_proj',
    'model.layers.0.mlp.up_proj',
    'model.layers.1.self_attn.q_proj',
  ];
  it('match by whole name endings, by expression, or all', () => {
    expect(matchTargetModules(['q_proj'], modules)).toEqual([modules[0], modules[2]]);
    expect(matchTargetModules(['layers.1.self_attn.q_proj'], modules)).toEqual([modules[2]]);
    expect(matchTargetModules('.*layers\\.0\\..*', modules)).toEqual([modules[0], modules[1]]);
    expect(matchTargetModules('all-linear', modules)).toEqual(modules);
  });
  it('that match nothing are refused, with what there is', () => {
    expect(() => matchTargetModules(['proj'], modules)).toThrow(
      /"proj" matches no linear layer of the model\. It has q_proj, up_proj/,
    );
    expect(() => matchTargetModules('(', modules)).toThrow(/is no regular expression/);
  });
});

describe('a fresh adapter', () => {
  it('changes nothing at first: B is zero, A within ±1/√in', async () => {
    const backend = createBackend();
    const adapter = lora.attach(config, layer, backend, random(1));
    const state = await adapter.state();
    expect([...(state.get('lora_B.weight')?.data ?? [1])].every((x) => x === 0)).toBe(true);
    const values = state.get('lora_A.weight')?.data as Float32Array;
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(5));
    expect(new Set(values).size).toBe(10);
  });
  it('does not depend on which other layers are adapted', async () => {
    const backend = createBackend();
    const make = async (rng = random(1)) => {
      lora.attach(config, { ...layer, name: 'other' }, backend, rng);
      return (await lora.attach(config, layer, backend, rng).state()).get('lora_A.weight');
    };
    const alone = (await lora.attach(config, layer, backend, random(1)).state()).get('lora_A.weight');
    expect(await make()).toEqual(alone);
  });
});

describe('a trained adapter', () => {
  it('adds scaling · B·(A·x) on the way, which is what merging adds to the weight', async () => {
    const backend = createBackend();
    const x = tensor('f32', [1, 5], Float32Array.of(1, 2, -1, 0.5, 3));
    const tape = new Tape(backend, { record: false });
    const variable = (shape: number[], data: Float32Array) => tape.constant(backend.upload(data, shape));
    const adapter = lora.attach(config, layer, backend, factors);
    const out = adapter.forward(tape, variable([1, 5], x.data), variable([1, 3], new Float32Array(3)));
    const delta = lora.deltaWeight(config, layer, factors);
    const expected = [0, 1, 2].map((o) =>
      x.data.reduce((sum, value, i) => sum + value * (delta[o * 5 + i] ?? 0), 0),
    );
    expect([...(await backend.read(out.value))]).toEqual(expected);
  });

  it('is stored under the keys of PEFT and read back', async () => {
    const keys = [...adapterTensors(stored).keys()];
    expect(keys).toEqual([
      `base_model.model.${layer.name}.lora_A.weight`,
      `base_model.model.${layer.name}.lora_B.weight`,
    ]);
    const back = await readAdapter(writeLoraConfig(config), memorySource(adapterTensors(stored)));
    expect(back.modules).toEqual(stored.modules);
  });

  it('with keys that are no LoRA weights is refused', async () => {
    const source = memorySource([['base_model.model.x.lora_magnitude_vector', a]], { label: 'file' });
    await expect(readAdapter(writeLoraConfig(config), source)).rejects.toThrow(
      /file: tensor ".*" is no LoRA weight/,
    );
    await expect(readAdapter(writeLoraConfig(config), memorySource([]))).rejects.toThrow(
      /holds no adapter weights/,
    );
  });

  it('merges into its base, one tensor at a time, and leaves the others', async () => {
    const weight = tensor('f32', [3, 5], new Float32Array(15).fill(1));
    const base = memorySource([
      [`${layer.name}.weight`, weight],
      ['norm', tensor('f32', [1], Float32Array.of(9))],
    ]);
    const merged = mergedSource(base, stored, { dtype: 'bf16' });
    expect(merged.tensors.map(({ dtype }) => dtype)).toEqual(['bf16', 'bf16']);
    const exact = await mergedSource(base, stored).read(`${layer.name}.weight`);
    const delta = lora.deltaWeight(config, layer, factors);
    expect([...exact.data]).toEqual([...delta].map((x) => 1 + x));
  });

  it('adds several, one after another, each by its weight', async () => {
    const weight = tensor('f32', [3, 5], new Float32Array(15).fill(1));
    const base = memorySource([[`${layer.name}.weight`, weight]]);
    const name = `${layer.name}.weight`;
    const delta = lora.deltaWeight(config, layer, factors);
    const both = await mergedSource(base, [scaleAdapter(stored, 0.5), scaleAdapter(stored, -2)]).read(name);
    expect([...both.data]).toEqual([...delta].map((x) => 1 + 0.5 * x - 2 * x));
    expect(scaleAdapter(stored, 1)).toBe(stored);
    expect(() => scaleAdapter(stored, Number.NaN)).toThrow('adapter: weight NaN is no number');
    const range = await mergedSource(base, [stored, stored]).readRange?.(name, 3, 9);
    expect([...(range?.data ?? [])]).toEqual([...delta].map((x) => 1 + x + x).slice(3, 12));
  });

  it('keeps how its base was quantized in the metadata of its weights file', async () => {
    const quantization = { scheme: 'fp4', strategy: 'blockwise', blockSize: 128, doubleQuant: false };
    const metadata = adapterMetadata(quantization);
    expect(metadata.get('format')).toBe('pt');
    const source = memorySource(adapterTensors(stored), { metadata });
    expect((await readAdapter(writeLoraConfig(config), source)).baseQuantization).toEqual(quantization);
    const some = { ...quantization, denseModules: ['model.layers.0.q_proj'] };
    const partly = memorySource(adapterTensors(stored), { metadata: adapterMetadata(some) });
    expect((await readAdapter(writeLoraConfig(config), partly)).baseQuantization).toEqual(some);
    // PEFT's files do not say.
    expect(adapterMetadata(undefined)).toEqual(new Map([['format', 'pt']]));
    const silent = memorySource(adapterTensors(stored));
    expect((await readAdapter(writeLoraConfig(config), silent)).baseQuantization).toBeUndefined();
  });
  it.each([
    ['{', /metadata base_quantization: is no JSON/],
    ['{"scheme":"nf4"}', /base_quantization: strategy: /],
    ['{"scheme":"x","strategy":"blockwise","block_size":64,"double_quant":true}', /base_quantization.*"?x"?/],
    ['{"scheme":"nf4","strategy":"blockwise","block_size":63,"double_quant":true}', /block size 63/],
    ['{"scheme":"nf4","strategy":"blockwise","block_size":64,"double_quant":true,"more":1}', /more/],
  ])('is refused where that is %s', async (text, message) => {
    const source = memorySource(adapterTensors(stored), { metadata: [['base_quantization', text]] });
    await expect(readAdapter(writeLoraConfig(config), source)).rejects.toThrow(message);
  });

  it('of another model is refused before anything is read', () => {
    expect(() => mergedSource(memorySource([], { label: 'base' }), stored)).toThrow(
      /adapter: adapts "model.layers.0.q_proj", which base has no weight matrix of/,
    );
    const wrong = memorySource([[`${layer.name}.weight`, tensor('f32', [4, 5], new Float32Array(20))]]);
    expect(() => mergedSource(wrong, stored)).toThrow(QloraError);
  });
});
