// Model folders that are missing, damaged or of another kind: one message, exit code 1, nothing left behind.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectRefusal, makeModelFolder, qlora, spawnQlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-bad-model-'));
const good = join(work, 'good');
const model = join(work, 'model');
const out = join(work, 'out');
const text = join(work, 'text.txt');
const weights = join(model, 'model.safetensors');
afterAll(() => rmSync(work, { recursive: true }));
beforeAll(async () => {
  await makeModelFolder(good);
  writeFileSync(text, 'the other and the water in the air and thunder over a house.');
});
beforeEach(() => {
  rmSync(model, { recursive: true, force: true });
  cpSync(good, model, { recursive: true });
});

const verbs = {
  quantize: ['quantize', model, '--out', out],
  train: ['train', model, '--data', text, '--out', out, '--steps', '1'],
  eval: ['eval', model, '--data', text],
  generate: ['generate', model, '--prompt', 'the', '--max-tokens', '3'],
  'export gguf': ['export', 'gguf', model, '--out', out, '--type', 'f16'],
  'export qnat': ['export', 'qnat', model, '--out', out],
};
/** Every verb that opens a model says the same. */
const allRefuse = async (message: RegExp) => {
  for (const args of Object.values(verbs)) await expectRefusal(work, args, message);
};
/** Every verb that has to understand the model says the same; `quantize` takes what it does not understand. */
const allButQuantizeRefuse = async (message: RegExp) => {
  const { quantize: _, ...others } = verbs;
  for (const args of Object.values(others)) await expectRefusal(work, args, message);
};
const editConfig = (edit: Record<string, unknown>) => {
  const config = JSON.parse(readFileSync(join(good, 'config.json'), 'utf8'));
  writeFileSync(join(model, 'config.json'), JSON.stringify({ ...config, ...edit }));
};
/** Writes the weights with another header; `edit` may change the parsed one. */
const editHeader = (edit: (header: Record<string, { data_offsets: number[]; shape: number[] }>) => void) => {
  const bytes = readFileSync(join(good, 'model.safetensors'));
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  edit(header);
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(weights, Buffer.concat([head, json, bytes.subarray(8 + length)]));
};
/** Overwrites value `index` of a tensor. */
const setValue = (name: string, index: number, value: number) => {
  const bytes = readFileSync(weights);
  const length = Number(bytes.readBigUInt64LE(0));
  const { data_offsets: offsets } = JSON.parse(bytes.toString('utf8', 8, 8 + length))[name];
  bytes.writeFloatLE(value, 8 + length + offsets[0] + 4 * index);
  writeFileSync(weights, bytes);
};

it('the good model is taken by every verb, so what follows is refused for its fault alone', async () => {
  for (const args of Object.values(verbs)) {
    const { code, stderr } = await qlora(...args);
    expect([code, stderr]).toEqual([0, '']);
    rmSync(out, { recursive: true, force: true });
  }
});

describe('as a real process', () => {
  it('a missing folder is one message on standard error and exit code 1', async () => {
    const missing = join(work, 'missing');
    const { code, stdout, stderr } = await spawnQlora('quantize', missing, '--out', out);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(`error ${missing}: no such file or folder. Check the path.\n`);
  });
  it('truncated weights are an event with --json', async () => {
    truncateSync(weights, 3000);
    const { code, stdout, stderr } = await spawnQlora('generate', model, '--prompt', 'a', '--json');
    expect([code, stderr]).toEqual([1, '']);
    expect(JSON.parse(stdout)).toMatchObject({
      event: 'error',
      where: weights,
      rule: expect.stringMatching(/^safetensors\//),
      fix: expect.stringContaining('fetch it again'),
    });
  });
});

describe('files', () => {
  it('a folder that is not there, or is a file', async () => {
    rmSync(model, { recursive: true });
    await allRefuse(/model: no such file or folder\. Check the path/);
    writeFileSync(model, 'x');
    await allRefuse(/model: is no folder( and no QNAT file)?\. Name the folder of a Hugging Face checkpoint/);
    rmSync(model);
  });
  it.each(['config.json', 'tokenizer.json', 'model.safetensors'])('no %s', async (name) => {
    rmSync(join(model, name));
    await (name === 'tokenizer.json' ? allButQuantizeRefuse : allRefuse)(
      new RegExp(`${name.replace('.', '\\.')}.*(no such file|holds no|\\.)`),
    );
  });
  it.each(['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])(
    '%s that is cut off, a list, or a folder',
    async (name) => {
      const path = join(model, name);
      truncateSync(path, 20);
      await expectRefusal(work, verbs.generate, new RegExp(`${name}: is no JSON: `));
      writeFileSync(path, '[1]');
      await expectRefusal(work, verbs.generate, new RegExp(`${name}: is no JSON object`));
      rmSync(path);
      mkdirSync(path);
      await expectRefusal(work, verbs.generate, new RegExp(`${name}: is a folder`));
    },
  );
  it.each([{}, { model: {} }, { model: { type: 'BPE' } }, { model: { type: 'Magic' } }])(
    'a tokenizer.json that is none: %j',
    async (content) => {
      writeFileSync(join(model, 'tokenizer.json'), JSON.stringify(content));
      await expectRefusal(work, verbs.generate, /tokenizer\.json: cannot be used: /);
    },
  );
});

describe('config.json', () => {
  it.each([
    [
      'model_type',
      'mamba',
      /config\.json: model_type is "mamba", an architecture that is not supported\. Supported: llama/,
    ],
    ['model_type', undefined, /config\.json: has no model_type\. Supported: llama/],
    ['hidden_size', 0, /config\.json: hidden_size: /],
    ['hidden_size', undefined, /config\.json: hidden_size: /],
    ['hidden_size', '32', /config\.json: hidden_size: .*expected number/],
    ['num_hidden_layers', 1e7, /config\.json: num_hidden_layers: /],
    ['num_hidden_layers', -1, /config\.json: num_hidden_layers: /],
    ['num_hidden_layers', 1.5, /config\.json: num_hidden_layers: /],
    ['vocab_size', 1e300, /config\.json: vocab_size: /],
    ['num_attention_heads', 5, /config\.json: num_key_value_heads 2 does not divide num_attention_heads 5/],
    ['num_key_value_heads', 3, /config\.json: num_key_value_heads 3 does not divide num_attention_heads 4/],
    ['head_dim', 7, /config\.json: head_dim 7 is odd/],
    ['rms_norm_eps', -1, /config\.json: rms_norm_eps: /],
    ['hidden_act', 'gelu', /config\.json: hidden_act is "gelu"\. Only silu is computed/],
    ['rope_scaling', { type: 'yarn', factor: 2 }, /config\.json: rope scaling is "yarn"/],
    ['rope_scaling', { type: 'linear' }, /config\.json: rope scaling "linear" lacks factor/],
    ['quantization_config', { quant_method: 'gptq' }, /quantization_config\.quant_method is "gptq"/],
  ])('%s of %j', async (field, value, message) => {
    editConfig({ [field]: value });
    await expectRefusal(work, verbs.generate, message);
  });
  it.each([
    ['num_hidden_layers', 3, /no tensor named "model\.layers\.2\..*config\.json do not belong together/],
    [
      'vocab_size',
      400,
      /model\.embed_tokens\.weight: has shape \[\d+, 32\], config\.json asks for \[400, 32\]/,
    ],
    [
      'intermediate_size',
      64,
      /mlp\.\w+_proj\.weight: has shape .* config\.json asks for \[(64, 32|32, 64)\]/,
    ],
    ['tie_word_embeddings', false, /no tensor named "lm_head\.weight"/],
    ['attention_bias', true, /no tensor named "model\.layers\.0\.self_attn\.q_proj\.bias"/],
  ])('%s of %j, which the weights do not have', async (field, value, message) => {
    editConfig({ [field]: value });
    await allRefuse(message);
  });
});

describe('model.safetensors', () => {
  it('empty, or cut in its length, header or data', async () => {
    for (const [length, message] of [
      [0, /0 bytes are no safetensors file/],
      [5, /5 bytes are no safetensors file/],
      [100, /header length \d+ exceeds the file's 100 bytes\. The file is truncated/],
      [20_000, /the tensors take \d+ bytes, the file has \d+ after its header\. The file is truncated/],
    ] as const) {
      truncateSync(weights, length);
      await allRefuse(message);
      cpSync(join(good, 'model.safetensors'), weights);
    }
  });
  it.each([
    [2n ** 62n, /header length 4611686018427387904 is above the limit/],
    [99_999_999n, /header length 99999999 exceeds the file's/],
    [3n, /model\.safetensors: the header is cut off|model\.safetensors: .*header/],
  ])('a header length that lies: %d', async (length, message) => {
    const bytes = readFileSync(weights);
    bytes.writeBigUInt64LE(length);
    writeFileSync(weights, bytes);
    await expectRefusal(work, verbs.quantize, message);
    await expectRefusal(work, ['inspect', weights], message);
  });
  it('offsets outside of the file, over each other, or not what the shape needs', async () => {
    const name = 'model.norm.weight';
    const entry = (edit: (tensor: { data_offsets: number[]; shape: number[] }) => void) =>
      editHeader((header) => {
        const found = header[name];
        if (found) edit(found);
      });
    entry((tensor) => {
      tensor.data_offsets = [1e9, 1e9 + 128];
    });
    await allRefuse(/model\.norm\.weight: its data begins at byte/);
    entry((tensor) => {
      tensor.data_offsets = [0, 128];
    });
    await expectRefusal(work, verbs.quantize, /its data begins at byte 0, inside/);
    entry((tensor) => {
      tensor.shape = [33];
    });
    await expectRefusal(work, verbs.quantize, /model\.norm\.weight: shape \[33\] of F32 needs 132 bytes/);
    entry((tensor) => {
      tensor.shape = [2 ** 40, 2 ** 40];
    });
    await expectRefusal(work, verbs.quantize, /model\.norm\.weight: .*overflows/);
  });
  it('a web page that was saved instead', async () => {
    writeFileSync(weights, '<!DOCTYPE html><html><body>Not found</body></html>');
    await allRefuse(/model\.safetensors: header length \d+ is above the limit/);
  });
});

describe('values that are not finite', () => {
  // One in a layer that is quantized, one in each kind that is not.
  it.each([
    ['model.layers.1.mlp.down_proj.weight', Number.NaN, 'NaN'],
    ['model.layers.0.self_attn.q_proj.weight', Number.POSITIVE_INFINITY, 'Infinity'],
    ['model.embed_tokens.weight', Number.NEGATIVE_INFINITY, '-Infinity'],
    ['model.norm.weight', Number.NaN, 'NaN'],
  ])('%s: %d', async (name, value, shown) => {
    setValue(name, 7, value);
    await allRefuse(new RegExp(`model\\.safetensors: ${name}: value 7 is ${shown}\\. .*fetch`));
  });
});
