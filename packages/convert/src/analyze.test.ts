import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  blockwise,
  compareSchemes,
  errorFigures,
  type QuantizationConfig,
  registerStrategy,
} from '@qlora/quant-strategies';
import { flatRange, memorySource, random, type Tensor, type TensorSource, tensor } from '@qlora/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AnalysisProgress,
  type AnalyzedTensor,
  analyzeTensors,
  DEFAULT_SCHEMES,
  parseScheme,
  parseSchemes,
  schemeLabel,
  selectWeights,
  transpose,
} from './index';
import { analyzeFolder, quantizeFolder, taskPool } from './node';
import { makeModel, modelTensors } from './testing/model-folder';

// A strategy that cannot be cut, though it could be.
registerStrategy({
  name: 'uncut',
  quantize: (...args) => ({ ...blockwise.quantize(...args), strategy: 'uncut' }),
  dequantize: (quantized, codec) => blockwise.dequantize(quantized, codec),
});

const rng = random(7);
const normal = (rows: number, columns: number): Tensor =>
  tensor(
    'f32',
    [rows, columns],
    Float32Array.from({ length: rows * columns }, () => 0.02 * rng.normal() + 0.005),
  );
// Small ones, ones of several parts whose rows are no multiple of a block, and one with an odd end.
const tensors = new Map<string, Tensor>([
  ...modelTensors({ hidden: 1030, wide: 2101, layers: 1 }),
  ['small.weight', normal(3, 5)],
  ['wide.weight', normal(1031, 1027)],
]);
/** Threads keep the arrays that they are given, so what is read is a copy. */
const source: TensorSource = {
  ...memorySource(tensors, { label: 'memory' }),
  async readRange(name, start, count) {
    const { dtype, shape, data } = flatRange(tensors.get(name) ?? expect.fail(name), start, count);
    return { dtype, shape, data: data.slice() };
  },
};
const names = ['small.weight', 'wide.weight', ...[...tensors.keys()].filter((name) => name.includes('proj'))];
const weights = names.map((name) => ({ name, transposed: false }));
const schemes = parseSchemes(`${DEFAULT_SCHEMES},fp4/4096,nf4/4096/zero-point/plain,nf4/per-channel/plain`);

/** Equal but for the order in which sums of up to two million values were added. */
function expectAlike(found: AnalyzedTensor, whole: Tensor, of: readonly QuantizationConfig[]): void {
  const wanted = compareSchemes(whole, of);
  expect(found.sums).toHaveLength(wanted.length);
  for (const [i, sums] of found.sums.entries()) {
    const { squaredError, squaredValue, ...exact } = wanted[i]?.sums ?? expect.fail();
    expect(sums).toMatchObject(exact);
    expect(squaredError).toBeGreaterThan(0);
    expect(Math.abs(sums.squaredError / squaredError - 1)).toBeLessThan(1e-11);
    expect(Math.abs(sums.squaredValue / squaredValue - 1)).toBeLessThan(1e-11);
  }
}

describe('analyzeTensors', () => {
  let alone: AnalyzedTensor[];
  beforeAll(async () => {
    alone = await analyzeTensors(source, weights, schemes);
  });

  it('gives the sums of compareSchemes for every tensor and scheme, whatever it is cut into', () => {
    expect(alone.map(({ name }) => name)).toEqual(names);
    for (const found of alone) expectAlike(found, tensors.get(found.name) ?? expect.fail(), schemes);
  });

  it('gives the same to the last bit on any number of threads and slots', async () => {
    expect(await analyzeTensors(source, weights, schemes, { slots: 1 })).toEqual(alone);
    const pool = taskPool({ threads: 3 });
    const shared = await analyzeTensors(source, weights, schemes, pool).finally(() => pool.close());
    expect(shared).toEqual(alone);
  });

  it('takes a strategy that cannot be cut', async () => {
    const uncut = parseSchemes('nf4/uncut,nf4,fp4/uncut/plain');
    const [found] = await analyzeTensors(source, [{ name: 'wide.weight', transposed: false }], uncut);
    expectAlike(found ?? expect.fail(), tensors.get('wide.weight') ?? expect.fail(), uncut);
  });

  it('quantizes a transposed weight as it is stored in 4 bits, [out, in]', async () => {
    const [found] = await analyzeTensors(source, [{ name: 'wide.weight', transposed: true }], schemes);
    expect(found?.shape).toEqual([1027, 1031]);
    expectAlike(found ?? expect.fail(), transpose(tensors.get('wide.weight') ?? expect.fail()), schemes);
  });

  it('reads no more at a time than a part for each slot, twice only what double quantization needs', async () => {
    let [open, most, largest, read] = [0, 0, 0, 0];
    const watched: TensorSource = {
      ...source,
      async readRange(name, start, count) {
        most = Math.max(most, ++open);
        largest = Math.max(largest, count);
        read += count;
        await new Promise((resolve) => setTimeout(resolve, 1));
        open--;
        return flatRange(tensors.get(name) ?? expect.fail(), start, count);
      },
    };
    const one = [{ name: 'wide.weight', transposed: false }];
    await analyzeTensors(watched, one, parseSchemes('nf4/plain,fp4/per-channel/plain'), { slots: 2 });
    expect([read, most]).toEqual([1031 * 1027, 2]);
    expect(largest).toBeLessThanOrEqual(2 ** 20);
    read = 0;
    await analyzeTensors(watched, one, parseSchemes('nf4/plain,fp4'), { slots: 2 });
    expect(read).toBe(2 * 1031 * 1027);
  });

  it('says how far it is, up to the end', async () => {
    const said: AnalysisProgress[] = [];
    await analyzeTensors(source, weights, schemes, { onProgress: (progress) => said.push(progress) });
    const { totalBytes } = said[0] ?? expect.fail();
    expect(said.length).toBeGreaterThan(names.length);
    expect(said.at(-1)).toEqual({
      bytes: totalBytes,
      totalBytes,
      tensors: names.length,
      totalTensors: names.length,
    });
    for (const [i, { bytes }] of said.entries())
      expect(bytes).toBeGreaterThanOrEqual(said[i - 1]?.bytes ?? 0);
  });

  it('stops when it is told to, with the reason', async () => {
    const stop = new AbortController();
    const stopped = analyzeTensors(source, weights, schemes, {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('enough')),
    });
    await expect(stopped).rejects.toThrow('enough');
  });

  it('refuses a value that is not finite by its place in the tensor, with nothing left under way', async () => {
    const values = (tensors.get('wide.weight')?.data ?? expect.fail()).slice() as Float32Array;
    values[1_050_000] = Number.NaN;
    let open = 0;
    const bad: TensorSource = {
      ...memorySource([['w', tensor('f32', [1031, 1027], values)]], { label: 'bad' }),
      async readRange(_, start, count) {
        open++;
        await new Promise((resolve) => setTimeout(resolve, start > 0 ? 1 : 20));
        open--;
        return tensor('f32', [count], values.slice(start, start + count));
      },
    };
    const refused = analyzeTensors(bad, [{ name: 'w', transposed: false }], schemes);
    await expect(refused).rejects.toThrow('bad: w: value 1050000 is NaN');
    expect(open).toBe(0);
  });
});

describe('schemes as text', () => {
  it.each([
    ['nf4', 'nf4', { strategy: 'blockwise', blockSize: 64, doubleQuant: true }],
    ['nf4/64', 'nf4', { blockSize: 64 }],
    ['nf4/blockwise', 'nf4', { strategy: 'blockwise' }],
    ['nf4/128', 'nf4/128', { blockSize: 128 }],
    ['nf4/plain', 'nf4/plain', { doubleQuant: false }],
    [' fp4 / plain / 32 / zero-point ', 'fp4/zero-point/32/plain', { blockSize: 32, doubleQuant: false }],
    ['fp4/per-channel', 'fp4/per-channel', { strategy: 'per-channel' }],
  ])('%j is %s', (text, label, config) => {
    const scheme = parseScheme(text);
    expect(scheme).toMatchObject({ scheme: label.slice(0, 3), ...config });
    expect(schemeLabel(scheme)).toBe(label);
    expect(parseScheme(label)).toEqual(scheme);
  });

  it.each([
    ['int4', /scheme "int4": no codec named "int4".*begin with one of nf4, fp4/is],
    ['', /no codec named "".*begin with one of nf4, fp4/is],
    ['plain/nf4', /no codec named "plain"/],
    ['nf4/double', /"double" is not known.*known: blockwise, per-channel, zero-point.*128, plain/is],
    ['nf4/63', /block size 63 is not supported/],
    ['nf4/64/128', /"128" says something that was said before/],
    ['nf4/plain/plain', /"plain" says something that was said before/],
    ['nf4/per-channel/64', /per-channel has no block size/],
  ])('refuses %j', (text, message) => {
    expect(() => parseScheme(text)).toThrow(message);
  });

  it('are a list, of which none is there twice', () => {
    expect(parseSchemes(DEFAULT_SCHEMES).map(schemeLabel).join(',')).toBe(DEFAULT_SCHEMES);
    expect(() => parseSchemes('nf4,fp4,nf4/64')).toThrow(/scheme "nf4\/64": nf4 is there twice/);
    expect(() => parseSchemes(' , ')).toThrow(/names no scheme/);
  });
});

describe('which tensors are analysed', () => {
  const config = { model_type: 'llama', vocab_size: 40 };
  const infos = memorySource(modelTensors({ layers: 1 })).tensors;
  it('the weights of linear layers, unless others are named', () => {
    const { weights, dense } = selectWeights(config, infos);
    expect(weights.map(({ name }) => name)).toEqual([
      'model.layers.0.self_attn.q_proj.weight',
      'model.layers.0.mlp.up_proj.weight',
      'model.layers.0.mlp.down_proj.weight',
    ]);
    expect(dense.map(({ name }) => name)).toEqual(['model.embed_tokens', 'lm_head']);
  });
  it('any matrix whose name has one of the parts', () => {
    const named = selectWeights(config, infos, ['mlp', 'embed', 'up_proj']).weights;
    expect(named.map(({ name }) => name)).toEqual([
      'model.embed_tokens.weight',
      'model.layers.0.mlp.up_proj.weight',
      'model.layers.0.mlp.down_proj.weight',
    ]);
  });
  it('a Conv1D is turned, named or not', () => {
    const gpt2 = { model_type: 'gpt2', vocab_size: 40 };
    const block = [{ name: 'h.0.mlp.c_fc.weight', dtype: 'f32', shape: [4, 16] } as const];
    for (const texts of [undefined, ['c_fc']])
      expect(selectWeights(gpt2, block, texts).weights).toEqual([
        { name: 'h.0.mlp.c_fc.weight', transposed: true },
      ]);
  });
  it('none is refused', () => {
    expect(() => selectWeights(config, infos, ['q_proj', 'layernorm'])).toThrow(
      /no tensor of floats with two or more axes has "layernorm" in its name.*there are: model\.embed_tokens/is,
    );
    const norm = infos.filter(({ name }) => name.includes('norm'));
    expect(() => selectWeights(config, norm)).toThrow(/no tensor is known to be the weight/);
  });
});

describe('analyzeFolder', () => {
  let home = '';
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'qlora-analyze-'));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it('compares the usual schemes over the linear layers, and adds them up', async () => {
    const folder = join(home, 'model');
    const made = await makeModel(folder, { dtype: 'f16' });
    const before = await readdir(folder);
    const { schemes, tensors: found, total, dense } = await analyzeFolder(folder);
    expect(schemes.map(schemeLabel).join()).toBe(DEFAULT_SCHEMES);
    expect(found).toHaveLength(6);
    for (const one of found) expectAlike(one, made.get(one.name) ?? expect.fail(), schemes);
    expect(dense.map(({ reason }) => reason).sort()).toEqual(['embedding', 'output head']);
    for (const [i, sums] of total.entries()) {
      const squares = found.reduce((sum, one) => sum + (one.sums[i]?.squaredError ?? 0), 0);
      expect(errorFigures(sums).meanSquaredError).toBeCloseTo(squares / (2 * (36 * 36 + 2 * 36 * 50)), 15);
    }
    expect(await readdir(folder)).toEqual(before);
    const few = await analyzeFolder(folder, { schemes: parseSchemes('fp4/32'), tensors: ['lm_head'] });
    expect([few.tensors.map(({ name }) => name), few.total.length]).toEqual([['lm_head.weight'], 1]);
  });

  it('refuses a model in 4 bits, since what it was is not there, and no schemes', async () => {
    const folder = join(home, 'dense');
    await makeModel(folder);
    await quantizeFolder(folder, join(home, 'nf4'));
    await expect(analyzeFolder(join(home, 'nf4'))).rejects.toThrow(/in 4 bits already.*as they were/);
    await expect(analyzeFolder(folder, { schemes: [] })).rejects.toThrow(/no scheme to compare/);
  });
});
