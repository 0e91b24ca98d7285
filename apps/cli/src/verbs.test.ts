// The whole way through the command, on random tiny models that are made here: every verb, its output read by the next one.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '@qlora/models/node';
import { openQnat } from '@qlora/qnat-writer';
import { fileSource } from '@qlora/tensor/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Event, events, lastEvent, makeModelFolder, qlora, spawnQlora } from './testing';

const work = mkdtempSync(join(tmpdir(), 'qlora-verbs-'));
afterAll(() => rmSync(work, { recursive: true }));
const text = join(work, 'text.txt');
writeFileSync(text, 'the other and the water in the air and thunder over a house, under an oar. '.repeat(12));

const crossEntropy = async (...args: string[]) =>
  Number(lastEvent(await events('eval', ...args, '--data', text), 'evaluated').crossEntropy);
const tensorsOf = (inspected: Event) =>
  inspected.tensors as { name: string; dtype: string; shape: number[]; bytes: number }[];
const inspect = async (path: string) => lastEvent(await events('inspect', path), 'inspected');
const adapterBytes = (folder: string) => readFileSync(join(folder, 'adapter_model.safetensors'));
let count = 0;
/** Trains briefly; gives the folder and the events. */
const train = async (model: string, ...more: string[]) => {
  const out = join(work, `adapter-${count++}`);
  const all = await events(
    ...['train', model, '--data', text, '--out', out, '--sequence-length', '24', '--warmup', '0'],
    ...more,
  );
  return { out, all };
};
/** Enough to move the loss by far more than any bound here. */
const SHORT = ['--steps', '3', '--rank', '4', '--batch-size', '2', '--learning-rate', '0.02'];

describe.each([
  ['tied', true],
  ['untied', false],
])('a model with %s embeddings', (name, tied) => {
  const model = join(work, name);
  const nf4 = join(work, `${name}-nf4`);
  const merged = join(work, `${name}-merged`);
  let adapter = '';
  let trained: Event[] = [];
  const names = () => [...(tied ? [] : ['lm_head.weight']), 'model.embed_tokens.weight', 'model.norm.weight'];

  beforeAll(async () => {
    await makeModelFolder(model, { tied });
    await events('quantize', model, '--out', nf4);
    const run = await train(nf4, ...SHORT, '--eval-data', text);
    adapter = run.out;
    trained = run.all;
    await events('merge', nf4, '--adapter', adapter, '--out', merged, '--dtype', 'f32');
  });

  it('is quantized into a folder of bitsandbytes, which is smaller and lists its tensors', async () => {
    const before = await inspect(model);
    const after = await inspect(nf4);
    expect([before.format, after.format]).toEqual([
      'safetensors checkpoint',
      'bitsandbytes 4-bit checkpoint',
    ]);
    expect(
      tensorsOf(after)
        .map((tensor) => tensor.name)
        .sort(),
    ).toEqual(
      tensorsOf(before)
        .map((tensor) => tensor.name)
        .sort(),
    );
    const shapes = (all: Event) => Object.fromEntries(tensorsOf(all).map((t) => [t.name, t.shape]));
    expect(shapes(after)).toEqual(shapes(before));
    for (const { name: tensor, dtype } of tensorsOf(after))
      expect([tensor, dtype]).toEqual([tensor, /_proj\.weight$/.test(tensor) ? 'nf4/64 double' : 'f32']);
    expect(
      tensorsOf(before)
        .filter((t) => !t.name.includes('layers.'))
        .map((t) => t.name)
        .sort(),
    ).toEqual(names());
    const total = (all: Event) => tensorsOf(all).reduce((sum, { bytes }) => sum + bytes, 0);
    expect(total(after)).toBeLessThan(total(before));
  });

  it('trains: a start, a step each, an end, and a folder that PEFT knows', async () => {
    expect(trained.map(({ event }) => event)).toEqual(['start', 'step', 'step', 'step', 'trained']);
    expect(trained[1]).toMatchObject({ step: 1, totalSteps: 3, loss: expect.any(Number) });
    const { evaluation } = lastEvent(trained, 'trained') as unknown as {
      evaluation: { before: number; after: number };
    };
    expect(evaluation.after).toBeLessThan(evaluation.before - 0.05);
    expect(readdirSync(adapter).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'report.html',
      'training_log.jsonl',
    ]);
    const inspected = await inspect(adapter);
    expect(inspected.format).toBe('PEFT adapter');
    expect(tensorsOf(inspected)).toHaveLength(2 * 7 * 2);
    expect(tensorsOf(inspected)).toContainEqual({
      name: 'base_model.model.model.layers.1.mlp.down_proj.lora_A.weight',
      dtype: 'f32',
      shape: [4, 48],
      bytes: 4 * 48 * 4,
    });
  });

  it('in 4 bits evaluates as it does when it is quantized on the fly, to the last bit', async () => {
    const { evaluation } = lastEvent(trained, 'trained') as unknown as {
      evaluation: { before: number; after: number };
    };
    const fly = await train(model, ...SHORT, '--eval-data', text);
    expect(lastEvent(fly.all, 'trained').evaluation).toEqual(evaluation);
    expect(adapterBytes(fly.out).equals(adapterBytes(adapter))).toBe(true);
    expect(await crossEntropy(nf4, '--sequence-length', '24')).toBe(evaluation.before);
    expect(await crossEntropy(nf4, '--adapter', adapter, '--sequence-length', '24')).toBe(evaluation.after);
    // And it is another model than the one in f32.
    expect(
      Math.abs((await crossEntropy(model, '--sequence-length', '24')) - evaluation.before),
    ).toBeGreaterThan(1e-3);
  });

  it('merged in f32 evaluates as with the adapter to 1e-5 nats, in f16 to 1e-3, in bf16 to 1e-2', async () => {
    const expected = await crossEntropy(nf4, '--adapter', adapter);
    expect(Math.abs((await crossEntropy(nf4)) - expected)).toBeGreaterThan(0.05);
    expect(Math.abs((await crossEntropy(merged)) - expected)).toBeLessThan(1e-5);
    for (const [dtype, bound] of [
      ['f16', 1e-3],
      ['bf16', 1e-2],
    ] as const) {
      const out = join(work, `${name}-${dtype}`);
      await events('merge', nf4, '--adapter', adapter, '--out', out, '--dtype', dtype);
      expect(Math.abs((await crossEntropy(out)) - expected)).toBeLessThan(bound);
      expect(new Set(tensorsOf(await inspect(out)).map((tensor) => tensor.dtype))).toEqual(new Set([dtype]));
    }
  });

  it('generates the same from the merged model as with the adapter, and not as without', async () => {
    const say = async (...args: string[]) =>
      lastEvent(await events('generate', ...args, '--prompt', 'the water', '--max-tokens', '20'), 'generated')
        .text;
    expect(await say(merged)).toBe(await say(nf4, '--adapter', adapter));
    expect(await say(nf4)).not.toBe(await say(nf4, '--adapter', adapter));
  });

  it('exports GGUF with and without the adapter, whose tensors and metadata are listed', async () => {
    const plain = join(work, `${name}.gguf`);
    const [exported] = await events('export', 'gguf', nf4, '--out', plain, '--type', 'q8_0');
    expect(exported).toMatchObject({ event: 'warning' });
    const inspected = await inspect(plain);
    expect(inspected).toMatchObject({
      format: 'GGUF version 3',
      metadata: {
        'general.architecture': 'llama',
        'llama.block_count': 2,
        'llama.attention.head_count_kv': 2,
      },
    });
    const types = Object.fromEntries(tensorsOf(inspected).map((tensor) => [tensor.name, tensor.dtype]));
    // Rows of 48 are no whole blocks of 32.
    expect(types).toMatchObject({
      'blk.0.attn_q.weight': 'q8_0',
      'blk.0.ffn_down.weight': 'f16',
      'output_norm.weight': 'f32',
    });
    expect('output.weight' in types).toBe(!tied);
    const adapted = join(work, `${name}-adapted.gguf`);
    await events('export', 'gguf', nf4, '--out', adapted, '--type', 'q8_0', '--adapter', adapter);
    expect(readFileSync(adapted).length).toBe(readFileSync(plain).length);
    expect(readFileSync(adapted).equals(readFileSync(plain))).toBe(false);
  });

  it('exports QNAT, which holds the weights of the 4-bit folder, bit for bit, from either folder', async () => {
    const files = [join(work, `${name}-a.qnat`), join(work, `${name}-b.qnat`)] as const;
    await events('export', 'qnat', nf4, '--out', files[0]);
    await events('export', 'qnat', model, '--out', files[1]);
    const checkpoint = await openCheckpoint(nf4);
    for (const file of files) {
      const inspected = await inspect(file);
      expect(inspected).toMatchObject({
        format: 'QNAT version 2',
        metadata: { config: { model_type: 'llama' } },
      });
      const qnat = await openQnat(await fileSource(file));
      expect(qnat.tensors.map((info) => info.name).sort()).toEqual(
        checkpoint.source.tensors.map((info) => info.name).sort(),
      );
      for (const { name: tensor } of qnat.tensors)
        expect([tensor, (await qnat.read(tensor)).data]).toEqual([
          tensor,
          (await checkpoint.source.read(tensor)).data,
        ]);
      await qnat.close();
    }
    await checkpoint.close();
  });

  it('refuses to be quantized twice', async () => {
    const { code, stderr } = await qlora('quantize', nf4, '--out', join(work, 'twice'));
    expect([code, stderr]).toEqual([
      1,
      `error ${nf4}: is in 4 bits already. Name a checkpoint in f32, f16 or bf16.\n`,
    ]);
  });
});

describe('training', () => {
  const model = join(work, 'trained');
  beforeAll(async () => {
    await makeModelFolder(model, { seed: 5 });
  });
  const bytesOf = async (...more: string[]) => adapterBytes((await train(model, ...more)).out);

  it('gives the same bytes with the same seed, and others with another', async () => {
    const first = await bytesOf(...SHORT, '--seed', '7', '--lora-dropout', '0.1');
    expect((await bytesOf(...SHORT, '--seed', '7', '--lora-dropout', '0.1')).equals(first)).toBe(true);
    expect((await bytesOf(...SHORT, '--seed', '8', '--lora-dropout', '0.1')).equals(first)).toBe(false);
  });

  it('gives the same bytes as a process of its own', async () => {
    const out = join(work, 'process');
    const { code, stderr } = await spawnQlora(
      ...['train', model, '--data', text, '--out', out, '--sequence-length', '24', '--warmup', '0'],
      ...SHORT,
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(adapterBytes(out).equals(await bytesOf(...SHORT))).toBe(true);
  });

  it('takes its options from a file as from the command line, which wins over it', async () => {
    const config = join(work, 'train.yaml');
    const out = join(work, 'from-file');
    writeFileSync(
      config,
      [
        `data: ${text}`,
        `out: ${out}`,
        'rank: 4',
        'alpha: 12.5',
        'target-modules: [q_proj, down_proj]',
        'steps: 3',
        'batch_size: 2',
        'sequenceLength: 24',
        'learning-rate: 2e-2',
        'schedule: linear',
        'warmup: 1',
        'weight-decay: 0.1',
        'lora-dropout: 0.05',
        'seed: 3',
        'scheme: fp4',
        'block-size: 32',
        'double-quant: false',
      ].join('\n'),
    );
    await events('train', model, '--config', config);
    const flags = await bytesOf(
      ...['--rank', '4', '--alpha', '12.5', '--target-modules', 'q_proj,down_proj', '--steps', '3'],
      ...['--batch-size', '2', '--learning-rate', '0.02', '--schedule', 'linear', '--warmup', '1'],
      ...['--weight-decay', '0.1', '--lora-dropout', '0.05', '--seed', '3', '--scheme', 'fp4'],
      ...['--block-size', '32', '--no-double-quant'],
    );
    expect(adapterBytes(out).equals(flags)).toBe(true);
    // Before or after the file, the command line wins.
    for (const args of [
      ['--seed', '4', '--config', config],
      ['--config', config, '--seed', '4'],
    ]) {
      const other = join(work, 'from-both');
      await events('train', model, ...args, '--out', other, '--overwrite');
      expect(adapterBytes(other).equals(flags)).toBe(false);
    }
  });

  it('accumulating two batches of two begins with the loss of a batch of four, and learns alike', async () => {
    const four = await train(model, ...SHORT, '--batch-size', '4');
    const twice = await train(model, ...SHORT, '--gradient-accumulation', '2');
    const steps = (all: Event[]) => all.filter(({ event }) => event === 'step');
    for (const [i, step] of steps(four.all).entries()) {
      const other = steps(twice.all)[i];
      expect(other?.tokens).toBe(step.tokens);
      expect(Number(other?.loss)).toBeCloseTo(Number(step.loss), i === 0 ? 6 : 4);
    }
  });

  it('logs each step as it reports it', async () => {
    const { out, all } = await train(model, ...SHORT);
    const log = readFileSync(join(out, 'training_log.jsonl'), 'utf8').trimEnd().split('\n');
    expect(log.map((line) => ({ event: 'step', ...JSON.parse(line) }))).toEqual(
      all.filter(({ event }) => event === 'step'),
    );
  });
});

describe('for people', () => {
  it('inspect prints a table, generate the prompt and what follows, eval a sentence', async () => {
    const model = await makeModelFolder(join(work, 'people'));
    const table = await qlora('inspect', model);
    expect(table.stdout).toMatch(/^safetensors checkpoint: 20 tensors, [\d,]+ values, /);
    expect(table.stdout).toMatch(/model\.layers\.0\.mlp\.down_proj\.weight.*f32.*32 × 48.*6\.14 KB/);
    const said = await qlora('generate', model, '--prompt', 'the air', '--max-tokens', '5');
    const { text: follows } = lastEvent(
      await events('generate', model, '--prompt', 'the air', '--max-tokens', '5'),
      'generated',
    );
    expect(said).toEqual({ code: 0, stdout: `the air${follows}\n`, stderr: '' });
    const sentence = await qlora('eval', model, '--data', text, '--limit', '2', '--sequence-length', '16');
    expect(sentence.stdout).toMatch(
      /^cross entropy \d\.\d{4} nats per token, perplexity [\d.]+\nover 32 tokens in 2 windows of 16\n$/,
    );
  });
});
