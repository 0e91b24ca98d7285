// qlora export gguf beyond the models that are trained here: another family, with an adapter, an importance matrix, a tokenizer
// whose pre-tokenizer must be named, and a model in several files.
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockTypeOf } from '@qlora/ggml-blocks';
import { type GgufValue, ggufSink, readGguf } from '@qlora/gguf-writer';
import { random, type Tensor, tensor } from '@qlora/tensor';
import { fileSink, fileSource } from '@qlora/tensor/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeModelFolder, qlora, writeTensors } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-export-'));
const model = join(work, 'qwen3');
const adapter = join(work, 'adapter');
const imatrix = join(work, 'imatrix.gguf');
afterAll(() => rmSync(work, { recursive: true }));

const HIDDEN = 256;
const normal = (seed: number, ...shape: number[]): Tensor => {
  const { normal } = random(seed);
  const count = shape.reduce((a, b) => a * b, 1);
  return tensor(
    'f32',
    shape,
    Float32Array.from({ length: count }, () => 0.05 * normal()),
  );
};

/** A byte-level tokenizer that cuts at dashes, which llama.cpp has no name for. */
function oddTokenizer() {
  let next = 256;
  const isPrintable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const tokens = Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : next++),
  );
  const split = { type: 'Split', pattern: { Regex: '-' }, behavior: 'Isolated', invert: false };
  return {
    added_tokens: [{ id: 256, content: '<|end|>', special: true }],
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, { type: 'ByteLevel', use_regex: false }] },
    model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges: [] },
  };
}

beforeAll(async () => {
  // Its tokenizer files are replaced, its weights too.
  await makeModelFolder(model);
  const config = {
    architectures: ['Qwen3ForCausalLM'],
    model_type: 'qwen3',
    hidden_size: HIDDEN,
    intermediate_size: HIDDEN,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    num_key_value_heads: 1,
    head_dim: 64,
    vocab_size: 257,
    tie_word_embeddings: true,
    eos_token_id: 256,
  };
  writeFileSync(join(model, 'config.json'), JSON.stringify(config));
  writeFileSync(join(model, 'tokenizer.json'), JSON.stringify(oddTokenizer()));
  writeFileSync(join(model, 'tokenizer_config.json'), JSON.stringify({ eos_token: '<|end|>' }));
  const layer = (name: string) => `model.layers.0.${name}.weight`;
  await writeTensors(
    join(model, 'model.safetensors'),
    new Map([
      ['model.embed_tokens.weight', normal(1, 257, HIDDEN)],
      ['model.norm.weight', normal(2, HIDDEN)],
      [layer('input_layernorm'), normal(3, HIDDEN)],
      [layer('post_attention_layernorm'), normal(4, HIDDEN)],
      [layer('self_attn.q_norm'), normal(5, 64)],
      [layer('self_attn.k_norm'), normal(6, 64)],
      [layer('self_attn.q_proj'), normal(7, HIDDEN, HIDDEN)],
      [layer('self_attn.k_proj'), normal(8, 64, HIDDEN)],
      [layer('self_attn.v_proj'), normal(9, 64, HIDDEN)],
      [layer('self_attn.o_proj'), normal(10, HIDDEN, HIDDEN)],
      [layer('mlp.gate_proj'), normal(11, HIDDEN, HIDDEN)],
      [layer('mlp.up_proj'), normal(12, HIDDEN, HIDDEN)],
      [layer('mlp.down_proj'), normal(13, HIDDEN, HIDDEN)],
    ]),
  );
  await makeModelFolder(adapter);
  for (const name of readdirSync(adapter)) rmSync(join(adapter, name));
  const settings = { peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: ['q_proj'], bias: 'none' };
  writeFileSync(join(adapter, 'adapter_config.json'), JSON.stringify(settings));
  const lora = (side: string) => `base_model.model.model.layers.0.self_attn.q_proj.lora_${side}.weight`;
  await writeTensors(
    join(adapter, 'adapter_model.safetensors'),
    new Map([
      [lora('A'), normal(14, 2, HIDDEN)],
      [lora('B'), normal(15, HIDDEN, 2)],
    ]),
  );
  const metadata = new Map<string, GgufValue>([
    ['general.type', { type: 'string', value: 'imatrix' }],
    ['imatrix.datasets', { type: 'array', items: 'string', value: ['some text'] }],
    ['imatrix.chunk_count', { type: 'u32', value: 3 }],
    ['imatrix.chunk_size', { type: 'u32', value: 512 }],
  ]);
  const sums = tensor(
    'f32',
    [1, HIDDEN],
    Float32Array.from({ length: HIDDEN }, (_, i) => (i % 7) * 3),
  );
  const counts = tensor('f32', [1, 1], Float32Array.of(3));
  const type = blockTypeOf('f32');
  const plan = [
    { name: 'blk.0.attn_q.weight.in_sum2', shape: sums.shape, type },
    { name: 'blk.0.attn_q.weight.counts', shape: counts.shape, type },
  ];
  const sink = await ggufSink(await fileSink(imatrix), { metadata, tensors: plan });
  await sink.write('blk.0.attn_q.weight.in_sum2', sums);
  await sink.write('blk.0.attn_q.weight.counts', counts);
  await sink.finish();
});

/** Exports, and gives the file's metadata and one weight. */
async function exported(name: string, ...options: string[]) {
  const out = join(work, `${name}.gguf`);
  const { code, stdout, stderr } = await qlora(
    'export',
    'gguf',
    model,
    '--out',
    out,
    '--pre',
    'qwen2',
    ...options,
  );
  expect([code, stdout]).toEqual([0, expect.stringContaining('tensors written')]);
  const bytes = await fileSource(out);
  const file = await readGguf(bytes);
  const query = await file.readBytes('blk.0.attn_q.weight');
  const values = file.tensors[0]?.type ? (await file.read('blk.0.attn_q.weight')).data : new Float32Array();
  await bytes.close();
  return { file, query, values, stderr };
}

it('a pre-tokenizer that is not recognized is refused, and written where it is named', async () => {
  const out = join(work, 'x.gguf');
  const { code, stderr } = await qlora('export', 'gguf', model, '--out', out);
  expect([code, stderr]).toEqual([1, expect.stringContaining('--pre NAME forces')]);
  const { file, stderr: warned } = await exported('pre');
  expect(file.metadata.get('tokenizer.ggml.pre')?.value).toBe('qwen2');
  expect(file.metadata.get('general.architecture')?.value).toBe('qwen3');
  expect(warned).toContain('is not checked');
});

it('an adapter on a family that is not trained here is merged in', async () => {
  const plain = await exported('plain', '--type', 'f32');
  const adapted = await exported('adapted', '--type', 'f32', '--adapter', adapter);
  const [a, b] = [normal(14, 2, HIDDEN).data, normal(15, HIDDEN, 2).data] as [Float32Array, Float32Array];
  const delta = 2 * ((b[0] ?? 0) * (a[3] ?? 0) + (b[1] ?? 0) * (a[HIDDEN + 3] ?? 0));
  expect((adapted.values[3] ?? 0) - (plain.values[3] ?? 0)).toBeCloseTo(delta, 6);
  expect(Math.abs(delta)).toBeGreaterThan(1e-4);
});

/** What a file has of one weight, in f32. */
const queryOf = async (path: string): Promise<Float32Array> => {
  const bytes = await fileSource(path);
  const { data } = await (await readGguf(bytes)).read('blk.0.attn_q.weight');
  await bytes.close();
  return data as Float32Array;
};
const largestDifference = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? 0))), 0);

describe('adapters', () => {
  const folder = join(work, 'llama');
  const nf4 = join(work, 'llama-nf4');
  const qnat = join(work, 'llama.qnat');
  const trained = ['a', 'b'].map((name) => join(work, `trained-${name}`)) as [string, string];
  let runs = 0;
  /** Exports in f32, and gives the query weight of the first layer. */
  const exportF32 = async (model: string, ...options: string[]) => {
    const out = join(work, `f32-${runs++}.gguf`);
    const { code, stdout, stderr } = await qlora(
      ...['export', 'gguf', model, '--out', out, '--type', 'f32', ...options],
    );
    expect(code, stderr).toBe(0);
    return { values: await queryOf(out), said: stdout + stderr };
  };
  beforeAll(async () => {
    await makeModelFolder(folder);
    const text = join(work, 'text.txt');
    writeFileSync(text, 'the other and the water in the air and thunder over a house. '.repeat(6));
    expect((await qlora('quantize', folder, '--out', nf4)).code).toBe(0);
    expect((await qlora('export', 'qnat', folder, '--out', qnat)).code).toBe(0);
    for (const [seed, out] of trained.entries()) {
      const how = ['--steps', '2', '--learning-rate', '0.05', '--seed', String(seed), '--rank', '2'];
      expect((await qlora('train', folder, '--data', text, '--out', out, ...how)).code).toBe(0);
    }
  });

  it('go into the 4-bit weights that they were trained on, wherever these come from', async () => {
    const fromNf4 = await exportF32(nf4, '--adapter', trained[0]);
    const fromPlain = await exportF32(folder, '--adapter', trained[0]);
    const fromQnat = await exportF32(qnat, '--adapter', trained[0]);
    expect(fromPlain.values).toEqual(fromNf4.values);
    expect(fromQnat.values).toEqual(fromNf4.values);
    expect(fromPlain.said).toContain('merged into the weights in nf4, blocks of 64, scales in 8 bits');
    expect(fromNf4.said).not.toContain('merged into');
    // Without an adapter, a plain model stays what it is.
    const plain = await exportF32(folder);
    const dequantized = await exportF32(nf4);
    expect(plain.values).not.toEqual(dequantized.values);
    expect((await exportF32(qnat)).values).toEqual(dequantized.values);
  });

  it('go into the weights of --base as they are', async () => {
    const plain = await exportF32(folder);
    const nf4Base = await exportF32(nf4);
    const merged = await exportF32(nf4, '--adapter', trained[0]);
    const based = await exportF32(nf4, '--adapter', trained[0], '--base', folder);
    const change = (a: Float32Array, b: Float32Array) => a.map((value, i) => value - (b[i] ?? 0));
    const [delta, same] = [change(merged.values, nf4Base.values), change(based.values, plain.values)];
    expect(largestDifference(delta, same)).toBeLessThan(1e-6);
    expect(largestDifference(merged.values, based.values)).toBeGreaterThan(1e-3);
    const out = join(work, 'refused.gguf');
    const refuse = async (message: string, ...options: string[]) => {
      const { code, stderr } = await qlora('export', 'gguf', nf4, '--out', out, ...options);
      expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
    };
    await refuse('--base says what adapters are merged into', '--base', folder);
    await refuse('Name the model that was quantized as --base', '--adapter', trained[0], '--base', model);
  });

  it.skipIf(!existsSync('/proc/self/fd'))('leave no file open if the export is refused', async () => {
    const bare = join(work, 'nf4-bare');
    cpSync(nf4, bare, { recursive: true });
    rmSync(join(bare, 'tokenizer.json'));
    const options = ['--adapter', trained[0], '--base', folder, '--out', join(work, 'bare.gguf')];
    const { code, stderr } = await qlora('export', 'gguf', bare, ...options);
    expect([code, stderr]).toEqual([1, expect.stringContaining('has no tokenizer')]);
    const open = readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return []; // that of the listing itself
      }
    });
    expect(open.filter((path) => path.startsWith(work))).toEqual([]);
  });

  it('add up, each by its weight', async () => {
    const none = (await exportF32(nf4)).values;
    const [a, b] = [
      await exportF32(nf4, '--adapter', trained[0]),
      await exportF32(nf4, '--adapter', trained[1]),
    ];
    const both = await exportF32(nf4, '--adapter', `${trained[0]}:0.25`, '--adapter', `${trained[1]}:-2`);
    const wanted = none.map(
      (base, i) => base + 0.25 * ((a.values[i] ?? 0) - base) - 2 * ((b.values[i] ?? 0) - base),
    );
    expect(largestDifference(both.values, wanted)).toBeLessThan(1e-6);
    expect(largestDifference(both.values, none)).toBeGreaterThan(1e-3);
  });

  it('leave layers dense that were so in training', async () => {
    const skipped = join(work, 'llama-skipped');
    const out = join(work, 'trained-skipped');
    const text = join(work, 'text.txt');
    expect((await qlora('quantize', folder, '--out', skipped, '--skip-modules', 'model.layers.0')).code).toBe(
      0,
    );
    expect(
      (await qlora('train', skipped, '--data', text, '--out', out, '--steps', '2', '--rank', '2')).code,
    ).toBe(0);
    const fromSkipped = await exportF32(skipped, '--adapter', out);
    const fromPlain = await exportF32(folder, '--adapter', out);
    expect(fromPlain.values).toEqual(fromSkipped.values);
    expect((await exportF32(nf4, '--adapter', out)).said).toMatch(/warning.*but for 7 layers/);
    const held = async (model: string) =>
      (await qlora('eval', model, '--data', text, '--adapter', out)).stdout;
    expect(await held(folder)).toBe(await held(skipped));
  });

  it('of different quantizations do not go into one plain model', async () => {
    const fp4 = join(work, 'trained-fp4');
    const text = join(work, 'text.txt');
    const how = ['--steps', '1', '--rank', '2', '--scheme', 'fp4'];
    expect((await qlora('train', folder, '--data', text, '--out', fp4, ...how)).code).toBe(0);
    const out = join(work, 'refused.gguf');
    const both = ['--adapter', trained[0], '--adapter', fp4];
    const { code, stderr } = await qlora('export', 'gguf', folder, '--out', out, ...both);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/trained on different weights: nf4.*fp4.*--base/s),
    ]);
    expect((await exportF32(folder, ...both, '--base', folder)).values.length).toBeGreaterThan(0);
    expect((await exportF32(nf4, '--adapter', fp4)).said).toMatch(/warning.*was trained on weights in fp4/);
  });

  it('of another quantization than the model has are warned of where they are computed with, too', async () => {
    const text = join(work, 'text.txt');
    const fp4 = join(work, 'trained-fp4');
    for (const args of [
      ['eval', nf4, '--data', text, '--adapter', fp4],
      ['generate', nf4, '--prompt', 'the', '--max-tokens', '2', '--adapter', fp4],
    ]) {
      const { code, stderr } = await qlora(...args);
      expect([code, stderr]).toEqual([0, expect.stringMatching(/warning.*was trained on weights in fp4/)]);
    }
  });

  it('have no place in a GGUF file that is there already', async () => {
    const file = join(work, 'other.gguf');
    expect((await qlora('export', 'gguf', nf4, '--out', file)).code).toBe(0);
    const { code, stderr } = await qlora('export', 'gguf', file, '--out', join(work, 'again.gguf'));
    expect([code, stderr]).toEqual([1, expect.stringContaining('is a GGUF file already')]);
  });
});

it('has the name that it is given, or that of its folder, and says once what many tensors are instead', async () => {
  const folder = join(work, 'named');
  await makeModelFolder(folder);
  const out = join(work, 'named.gguf');
  const nameOf = async (...options: string[]) => {
    const { code, stderr } = await qlora('export', 'gguf', folder, '--out', out, '--overwrite', ...options);
    const bytes = await fileSource(out);
    const { metadata } = await readGguf(bytes);
    await bytes.close();
    return { code, stderr, name: metadata.get('general.name')?.value };
  };
  const { code, stderr, name } = await nameOf();
  expect([code, name]).toEqual([0, 'named']);
  expect(stderr).toBe(
    'warning blk.0.ffn_down.weight and 1 more tensors are f16: rows of 48 are no whole blocks of 32\n',
  );
  expect((await nameOf('--name', 'Captain 1')).name).toBe('Captain 1');
});

it('an importance matrix changes what is kept, and is named in the file', async () => {
  const plain = await exported('q4', '--type', 'q4_k_m');
  const weighted = await exported('q4-weighted', '--type', 'q4_k_m', '--imatrix', imatrix);
  expect(weighted.query.length).toBe(plain.query.length);
  expect(Buffer.compare(weighted.query, plain.query)).not.toBe(0);
  expect(weighted.file.metadata.get('quantize.imatrix.file')?.value).toBe(imatrix);
  expect(weighted.file.metadata.get('quantize.imatrix.chunks_count')?.value).toBe(3);
  expect(weighted.stderr).toContain('has nothing of 6 tensors');
  const out = join(work, 'none.gguf');
  const refused = await qlora('export', 'gguf', model, '--out', out, '--pre', 'qwen2', '--imatrix', imatrix);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('no tensor of q8_0 takes')]);
});

it('a model in several files leaves none of them where one cannot be written', async () => {
  const folder = join(work, 'parts');
  await makeModelFolder(folder);
  const again = ['export', 'gguf', folder, '--out', join(folder, 'm.gguf'), '--split-max-size', '9KB'];
  const files = () => readdirSync(folder).filter((name) => name.endsWith('.gguf'));
  expect((await qlora(...again)).code).toBe(0);
  const [first = '', second = ''] = files();
  expect(first).toMatch(/^m-00001-of-0000\d\.gguf$/);
  const kept = readFileSync(join(folder, second));
  rmSync(join(folder, first));
  const { code, stderr } = await qlora(...again);
  expect([code, stderr]).toEqual([1, expect.stringContaining(second)]);
  expect(files()).not.toContain(first);
  expect(readFileSync(join(folder, second))).toEqual(kept);
  expect((await qlora(...again, '--overwrite')).code).toBe(0);
});
