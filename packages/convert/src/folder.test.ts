import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lora, loraConfig } from '@qlora/peft';
import { saveAdapter } from '@qlora/peft/node';
import { dequantizeTensor, type QuantizedSource, quantizeTensor } from '@qlora/quant-strategies';
import { bytesOf, fromFloat32, QloraError, toFloat32 } from '@qlora/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mergeFolder, openModelFolder, quantizeFolder, workingFolder } from './node';
import { makeModel, writeModel } from './testing/model-folder';
import { transpose } from './transposed';

let home: string;
let model: string;
let out: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'qlora-convert-'));
  model = join(home, 'model');
  out = join(home, 'out');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

const small = { maxShardSize: 4000 };

/** Puts a value into one tensor. */
const spoiling = (part: string, index: number, value: number) => (name: string, values: Float32Array) => {
  if (name.includes(part)) values[index] = value;
};

/** A hash of every file of a folder, by name. */
async function contents(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder)).sort();
  return new Map(
    await Promise.all(names.map(async (name) => [name, hash(await readFile(join(folder, name)))] as const)),
  );
}

describe('quantizeFolder', () => {
  it('gives each linear weight the codes and scales of quantizeTensor, and leaves the rest as it is', async () => {
    // More than one range, and blocks that run over the ends of rows.
    const tensors = await makeModel(model, { hidden: 1030, wide: 4201, layers: 1 });
    await quantizeFolder(model, out);
    const folder = await openModelFolder(out);
    const source = folder.source as QuantizedSource;
    expect(folder.quantized).toBe(true);
    expect([...source.quantized.keys()].sort()).toEqual([
      'model.layers.0.mlp.down_proj.weight',
      'model.layers.0.mlp.up_proj.weight',
      'model.layers.0.self_attn.q_proj.weight',
    ]);
    for (const [name, tensor] of tensors) {
      if (source.quantized.has(name)) {
        const wanted = quantizeTensor(tensor);
        const found = await source.readQuantized(name);
        expect(Buffer.compare(found.codes, wanted.codes)).toBe(0);
        expect(hash(new TextEncoder().encode(JSON.stringify({ ...found, codes: [] })))).toBe(
          hash(new TextEncoder().encode(JSON.stringify({ ...wanted, codes: [] }))),
        );
      } else expect(Buffer.compare(bytesOf((await source.read(name)).data), bytesOf(tensor.data))).toBe(0);
    }
    await folder.close();
  });

  it('copies what lies beside the weights, other weights left out, and says in config.json what it did', async () => {
    await makeModel(model);
    await quantizeFolder(model, out, { scheme: 'fp4', doubleQuant: false });
    expect([...(await contents(out)).keys()]).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
    expect(config).toMatchObject({
      model_type: 'llama',
      quantization_config: {
        quant_method: 'bitsandbytes',
        bnb_4bit_quant_type: 'fp4',
        bnb_4bit_use_double_quant: false,
      },
    });
  });

  it('splits weights as --max-shard-size says, with an index that holds the sizes', async () => {
    const tensors = await makeModel(model);
    const { files, bytesBefore } = await quantizeFolder(model, out, small);
    expect(files).toBeGreaterThan(2);
    const index = JSON.parse(await readFile(join(out, 'model.safetensors.index.json'), 'utf8'));
    expect(new Set(Object.values(index.weight_map)).size).toBe(files);
    expect(bytesBefore).toBe([...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0));
    const folder = await openModelFolder(out);
    expect(folder.source.tensors.map(({ name }) => name).sort()).toEqual([...tensors.keys()].sort());
    await folder.close();
  });

  it('refuses a name that no module has', async () => {
    await makeModel(model);
    const named = quantizeFolder(model, out, { skipModules: ['down_prj'] });
    await expect(named).rejects.toThrow(/no module is named "down_prj"/);
  });

  it('leaves modules that are named dense, and says so to transformers', async () => {
    await makeModel(model);
    const { linear } = await quantizeFolder(model, out, { skipModules: ['down_proj'] });
    expect(linear.weights.map(({ name }) => name).filter((name) => name.includes('down_proj'))).toEqual([]);
    const { quantization_config: quantization } = JSON.parse(
      await readFile(join(out, 'config.json'), 'utf8'),
    );
    expect(quantization.llm_int8_skip_modules).toEqual(expect.arrayContaining(['down_proj', 'lm_head']));
  });

  it('refuses a value that is not finite by its place, and leaves nothing', async () => {
    await makeModel(model, {
      dtype: 'f32',
      spoil: spoiling('layers.1.mlp.up_proj', 77, Number.NaN),
    });
    await expect(quantizeFolder(model, out)).rejects.toThrow(
      /layers\.1\.mlp\.up_proj\.weight: value 77 is NaN/,
    );
    expect(await readdir(home)).toEqual(['model']);
  });

  it('refuses a model in 4 bits, a folder without weights, and a result that is there', async () => {
    await makeModel(model);
    await quantizeFolder(model, out);
    await expect(quantizeFolder(out, join(home, 'again'))).rejects.toThrow(/in 4 bits already/);
    await expect(quantizeFolder(model, out)).rejects.toThrow(/exists already and is not empty/);
    await mkdir(join(home, 'empty'));
    await writeFile(join(home, 'empty', 'config.json'), '{}');
    await expect(quantizeFolder(join(home, 'empty'), join(home, 'x'))).rejects.toThrow(QloraError);
  });

  it('replaces a result when it is told to, and only when the new one is complete', async () => {
    await makeModel(model);
    await quantizeFolder(model, out, { blockSize: 128 });
    const before = await contents(out);
    const stopped = quantizeFolder(model, out, {
      overwrite: true,
      signal: AbortSignal.abort(new Error('stop')),
    });
    await expect(stopped).rejects.toThrow('stop');
    expect(await contents(out)).toEqual(before);
    await quantizeFolder(model, out, { overwrite: true });
    expect(await contents(out)).not.toEqual(before);
    expect((await readdir(home)).sort()).toEqual(['model', 'out']);
  });
});

describe('an interrupted run', () => {
  /** Stops after the given number of complete tensors. */
  async function interrupted(tensors: number): Promise<void> {
    const stop = new AbortController();
    const run = quantizeFolder(model, out, {
      ...small,
      signal: stop.signal,
      onProgress: (progress) => progress.tensors >= tensors && stop.abort(new Error('interrupted')),
    });
    await expect(run).rejects.toThrow('interrupted');
  }

  it('leaves nothing under the final name and goes on after its last complete file, to the same bytes', async () => {
    await makeModel(model);
    await quantizeFolder(model, join(home, 'whole'), small);
    await interrupted(6);
    await expect(stat(out)).rejects.toThrow();
    const kept = (await readdir(workingFolder(out))).filter((name) => name.startsWith('model-'));
    expect(kept.length).toBeGreaterThan(0);
    // What a process that was killed leaves behind.
    await writeFile(
      join(workingFolder(out), '.model-00003-of-00006.safetensors.0123456789ab.partial'),
      'half',
    );

    const result = await quantizeFolder(model, out, { ...small, resume: true });
    expect(result.kept).toEqual(kept.sort());
    expect(await contents(out)).toEqual(await contents(join(home, 'whole')));
    expect((await readdir(home)).sort()).toEqual(['model', 'out', 'whole']);
  });

  it('is not gone on with unasked, and not with other options or another model', async () => {
    await makeModel(model);
    await interrupted(6);
    await expect(quantizeFolder(model, out, small)).rejects.toThrow(/unfinished run.*--resume/);
    const other = { ...small, resume: true, blockSize: 128 };
    await expect(quantizeFolder(model, out, other)).rejects.toThrow(
      /another job: blockSize is 64 there and 128 now/,
    );
    await makeModel(model, { seed: 2 });
    await expect(quantizeFolder(model, out, { ...small, resume: true })).rejects.toThrow(
      /another job: weights/,
    );
  });

  it('is thrown away by overwrite', async () => {
    await makeModel(model);
    await interrupted(6);
    const result = await quantizeFolder(model, out, { ...small, overwrite: true });
    expect(result.kept).toEqual([]);
    expect(result.complete).toBe(true);
  });

  it('is not gone on with where nothing says what it is of', async () => {
    await makeModel(model);
    await interrupted(6);
    await rm(join(workingFolder(out), '.job.json'));
    const resumed = quantizeFolder(model, out, { ...small, resume: true });
    await expect(resumed).rejects.toThrow(/holds weights, but no \.job\.json/);
  });

  it('finds a file that is not what the job makes', async () => {
    await makeModel(model);
    await interrupted(6);
    const work = workingFolder(out);
    const [first = ''] = (await readdir(work)).filter((name) => name.startsWith('model-'));
    await writeFile(join(work, first), '\x02\0\0\0\0\0\0\0{}');
    await expect(quantizeFolder(model, out, { ...small, resume: true })).rejects.toThrow(/holds 0 tensors/);
  });
});

describe('shares', () => {
  it('make the files between them, and join to the bytes of a single run', async () => {
    await makeModel(model);
    await quantizeFolder(model, join(home, 'whole'), small);
    const count = 3;
    for (const index of [2, 3]) {
      const result = await quantizeFolder(model, out, { ...small, share: { index, count } });
      expect(result.complete).toBe(false);
      expect(result.missing.length).toBeGreaterThan(0);
    }
    await expect(quantizeFolder(model, out, { ...small, join: true })).rejects.toThrow(
      /files are missing: model-00001/,
    );
    expect((await quantizeFolder(model, out, { ...small, share: { index: 1, count } })).missing).toEqual([]);
    await expect(stat(out)).rejects.toThrow();
    const joined = await quantizeFolder(model, out, { ...small, join: true });
    expect(joined).toMatchObject({ complete: true, written: [], missing: [] });
    expect(await contents(out)).toEqual(await contents(join(home, 'whole')));
  });

  it('say that there is nothing to join, where there is nothing', async () => {
    await makeModel(model);
    await expect(quantizeFolder(model, out, { join: true })).rejects.toThrow(/nothing to join/);
  });
});

describe('mergeFolder', () => {
  it('dequantizes a 4-bit folder without an adapter, range by range, to what its codes stand for', async () => {
    const tensors = await makeModel(model, { hidden: 1030, wide: 4201, layers: 1 });
    await quantizeFolder(model, out);
    await mergeFolder(out, [], join(home, 'dense'), { dtype: 'f32', maxShardSize: 9e6 });
    const dense = await openModelFolder(join(home, 'dense'));
    expect(dense.quantized).toBe(false);
    expect(dense.config.quantization_config).toBeUndefined();
    for (const [name, tensor] of tensors) {
      const isLinear = name.includes('_proj');
      const wanted = isLinear ? dequantizeTensor(quantizeTensor(tensor)) : toFloat32(tensor);
      const found = await dense.source.read(name);
      expect(found.dtype).toBe('f32');
      expect(Buffer.compare(bytesOf(found.data), bytesOf(wanted))).toBe(0);
    }
    await dense.close();
  });

  it('turns the weights of a Conv1D back, which 4 bits hold transposed', async () => {
    const name = 'transformer.h.0.mlp.c_fc.weight';
    const weight = fromFloat32(
      'f32',
      [6, 10],
      Float32Array.from({ length: 60 }, (_, i) => Math.sin(i)),
    );
    await writeModel(model, new Map([[name, weight]]), { model_type: 'gpt2', vocab_size: 40 });
    const { linear } = await quantizeFolder(model, out);
    expect(linear.weights).toEqual([{ name, transposed: true }]);
    await mergeFolder(out, [], join(home, 'dense'), { dtype: 'f32' });
    const dense = await openModelFolder(join(home, 'dense'));
    const found = await dense.source.read(name);
    expect(found.shape).toEqual([6, 10]);
    const wanted = transpose(
      fromFloat32('f32', [10, 6], dequantizeTensor(quantizeTensor(transpose(weight)))),
    );
    expect(found.data).toEqual(wanted.data);
    await dense.close();
  });

  let adapter: { path: string }[] = [];
  const names = ['model.layers.0.mlp.up_proj', 'transformer.h.0.mlp.c_fc'] as const;
  /** An adapter of rank 2 on one layer. */
  const makeAdapter = async (module: string, outFeatures: number, inFeatures: number, alpha: number) => {
    adapter = [{ path: join(home, 'adapter') }];
    const values = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.cos(i));
    const parts = new Map([
      ['lora_A.weight', fromFloat32('f32', [2, inFeatures], values(2 * inFeatures))],
      ['lora_B.weight', fromFloat32('f32', [outFeatures, 2], values(2 * outFeatures))],
    ]);
    const config = loraConfig({ rank: 2, alpha, targetModules: [module] });
    const made = { method: lora, config, modules: new Map([[module, parts]]), label: 'made' };
    await saveAdapter(join(home, 'adapter'), made, { overwrite: true });
  };

  it('goes on only with the adapter that it began with, its alpha included', async () => {
    await makeModel(model);
    await makeAdapter(names[0], 50, 36, 4);
    const how = { ...small, share: { index: 1, count: 2 } };
    await mergeFolder(model, adapter, out, how);
    await makeAdapter(names[0], 50, 36, 4000);
    await expect(mergeFolder(model, adapter, out, how)).rejects.toThrow(/another job: adapter/);
  });

  it('refuses an adapter of a Conv1D, plain or in 4 bits, rather than to merge it the wrong way round', async () => {
    const weight = fromFloat32(
      'f32',
      [8, 8],
      Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)),
    );
    await writeModel(model, new Map([[`${names[1]}.weight`, weight]]), {
      model_type: 'gpt2',
      vocab_size: 40,
    });
    await quantizeFolder(model, out);
    await makeAdapter(names[1], 8, 8, 4);
    for (const folder of [model, out]) {
      const merged = mergeFolder(folder, adapter, join(home, 'merged'));
      await expect(merged).rejects.toThrow(/adapts "transformer\.h\.0\.mlp\.c_fc", a Conv1D/);
    }
  });

  it('refuses a value that the smaller type cannot hold', async () => {
    await makeModel(model, {
      dtype: 'f32',
      spoil: spoiling('lm_head', 3, 1e6),
    });
    await expect(mergeFolder(model, [], out, { dtype: 'f16' })).rejects.toThrow(
      /lm_head\.weight: value 3 is Infinity.*bf16/,
    );
  });

  it('casts what it does not merge', async () => {
    const tensors = await makeModel(model, { dtype: 'f32' });
    await mergeFolder(model, [], out, { dtype: 'bf16' });
    const folder = await openModelFolder(out);
    const name = 'lm_head.weight';
    expect((await folder.source.read(name)).data).toEqual(
      fromFloat32('bf16', [40, 36], toFloat32(tensors.get(name)!)).data,
    );
    await folder.close();
  });
});
