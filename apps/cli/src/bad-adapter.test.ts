// Adapters that are damaged, of another kind, or of another model: refused whole, by every verb that takes one.
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSafetensorsFile } from '@qlora/safetensors/node';
import { type Tensor, tensor } from '@qlora/tensor';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectRefusal, makeModelFolder, qlora, spawnQlora, writeTensors } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-bad-adapter-'));
const model = join(work, 'model');
const good = join(work, 'good');
const adapter = join(work, 'adapter');
const out = join(work, 'out');
const text = join(work, 'text.txt');
const configFile = join(adapter, 'adapter_config.json');
const weightsFile = join(adapter, 'adapter_model.safetensors');
const prefix = 'base_model.model.model.layers';
afterAll(() => rmSync(work, { recursive: true }));
beforeAll(async () => {
  await makeModelFolder(model);
  writeFileSync(text, 'the other and the water in the air and thunder over a house.');
  const trained = await qlora(
    ...['train', model, '--data', text, '--out', good, '--steps', '1'],
    ...['--rank', '2', '--target-modules', 'q_proj,down_proj'],
  );
  expect(trained.stderr).toBe('');
});
beforeEach(() => {
  rmSync(adapter, { recursive: true, force: true });
  cpSync(good, adapter, { recursive: true });
});

const takes = (base: string) => ({
  eval: ['eval', base, '--data', text, '--adapter', adapter],
  generate: ['generate', base, '--prompt', 'the', '--max-tokens', '2', '--adapter', adapter],
  merge: ['merge', base, '--out', out, '--adapter', adapter],
  'export gguf': ['export', 'gguf', base, '--out', out, '--adapter', adapter, '--type', 'f16'],
});
const allRefuse = async (message: RegExp, base = model) => {
  for (const args of Object.values(takes(base))) await expectRefusal(work, args, message);
};
const editConfig = (edit: Record<string, unknown>) =>
  writeFileSync(configFile, JSON.stringify({ ...JSON.parse(readFileSync(configFile, 'utf8')), ...edit }));
/** Writes the weights again after `edit` has changed them. */
const editWeights = async (edit: (tensors: Map<string, Tensor>) => void) => {
  const source = await openSafetensorsFile(weightsFile);
  const tensors = new Map<string, Tensor>();
  for (const { name } of source.tensors) tensors.set(name, await source.read(name));
  await source.close();
  edit(tensors);
  await writeTensors(weightsFile, tensors);
};

it('the good adapter is taken by every verb, so what follows is refused for its fault alone', async () => {
  for (const args of Object.values(takes(model))) {
    const { code, stderr } = await qlora(...args);
    expect([code, stderr]).toEqual([0, '']);
    rmSync(out, { recursive: true, force: true });
  }
});

it('an adapter of another model, as a real process', async () => {
  const other = await makeModelFolder(join(work, 'other'), { config: { hidden_size: 64, head_dim: 8 } });
  const { code, stdout, stderr } = await spawnQlora('merge', other, '--adapter', adapter, '--out', out);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(
    /^error .*adapter: model\.layers\.0\.\S+: lora_\w\.weight has shape \[\d+, \d+\], the layer needs \[\d+, \d+\]\. The adapter belongs to another model or its r is wrong\.\n$/,
  );
  rmSync(other, { recursive: true });
});

describe('files', () => {
  it('a folder that is not there, or lacks one of its files', async () => {
    rmSync(weightsFile);
    await allRefuse(/adapter_model\.safetensors: no such file/);
    rmSync(configFile);
    await allRefuse(/adapter_config\.json: no such file/);
    rmSync(adapter, { recursive: true });
    await allRefuse(/adapter_config\.json: no such file/);
  });
  it('a config that is no JSON', async () => {
    truncateSync(configFile, 30);
    await allRefuse(/adapter_config\.json: is no JSON: /);
  });
  it('weights that are cut off', async () => {
    truncateSync(weightsFile, 1500);
    await allRefuse(/adapter_model\.safetensors: .* The file is truncated/);
  });
});

describe('adapter_config.json', () => {
  it.each([
    ['peft_type', undefined, /adapter_config\.json: has no peft_type\. Known: LORA/],
    ['peft_type', 'IA3', /adapter_config\.json: peft_type is "IA3"\. Known: LORA/],
    ['r', undefined, /adapter_config\.json: r: /],
    ['r', 0, /adapter_config\.json: r: /],
    ['r', '2', /adapter_config\.json: r: /],
    ['lora_alpha', undefined, /adapter_config\.json: lora_alpha: /],
    ['lora_alpha', -1, /adapter_config\.json: lora_alpha: /],
    ['target_modules', undefined, /adapter_config\.json: target_modules: /],
    ['target_modules', [], /adapter_config\.json: target_modules: /],
    ['use_dora', true, /adapter_config\.json: use_dora is true, which this version does not compute/],
    ['rank_pattern', { q_proj: 4 }, /adapter_config\.json: rank_pattern is /],
  ])('%s of %j', async (field, value, message) => {
    editConfig({ [field]: value });
    await expectRefusal(work, takes(model).merge, message);
    await expectRefusal(work, takes(model).eval, message);
  });
  it('an r that the weights do not have', async () => {
    editConfig({ r: 3 });
    await allRefuse(
      /adapter: model\.layers\.0\.\S+: lora_A\.weight has shape \[2, \d+\], the layer needs \[3, \d+\]/,
    );
  });
  it('target modules that the weights do not have', async () => {
    editConfig({ target_modules: ['q_proj', 'down_proj', 'v_proj'] });
    await allRefuse(
      /adapter: holds no weights for "model\.layers\.0\.self_attn\.v_proj", which its target_modules name/,
    );
  });
});

describe('weights', () => {
  it('of a model with more layers, or with fewer', async () => {
    const deeper = await makeModelFolder(join(work, 'deeper'), { config: { num_hidden_layers: 3 } });
    await allRefuse(/adapter: holds no weights for "model\.layers\.2\./, deeper);
    const shallower = await makeModelFolder(join(work, 'shallower'), { config: { num_hidden_layers: 1 } });
    await allRefuse(/adapter: adapts "model\.layers\.1\.\S+", which the model does not have/, shallower);
    for (const folder of [deeper, shallower]) rmSync(folder, { recursive: true });
  });
  it('that lack one half of a pair', async () => {
    await editWeights((tensors) => tensors.delete(`${prefix}.1.mlp.down_proj.lora_B.weight`));
    await allRefuse(/adapter: model\.layers\.1\.mlp\.down_proj: lora_B\.weight is missing/);
  });
  it('that are of another method', async () => {
    await editWeights((tensors) =>
      tensors.set(`${prefix}.1.mlp.down_proj.lora_magnitude_vector`, tensor('f32', [1], Float32Array.of(1))),
    );
    await allRefuse(/adapter_model\.safetensors: tensor ".*lora_magnitude_vector" is no LoRA weight/);
  });
  it('that are not finite', async () => {
    await editWeights((tensors) => {
      const b = tensors.get(`${prefix}.0.self_attn.q_proj.lora_B.weight`);
      if (b) b.data[3] = Number.NaN;
    });
    await allRefuse(/q_proj\.lora_B\.weight: value 3 is NaN/);
  });
  it('that are none', async () => {
    await editWeights((tensors) => tensors.clear());
    await allRefuse(/adapter_model\.safetensors: holds no adapter weights/);
  });
  it('that are too large for the type of the merged model', async () => {
    await editWeights((tensors) => {
      for (const { data } of tensors.values()) if (data instanceof Float32Array) data.fill(300);
    });
    await expectRefusal(work, takes(model).merge, /value 0 is Infinity\. .*too large for f16.*bf16 or f32/);
    const { code } = await qlora(...takes(model).merge, '--dtype', 'bf16');
    expect(code).toBe(0);
    rmSync(out, { recursive: true });
  });
});
