// The whole way on a real model and real text: the 4-bit stories260K learns to write like Shakespeare, and what was
// learnt is the same beside the weights, loaded again, merged, and in llama.cpp.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qlora/models/node';
import { loadExamples } from '@qlora/trainer';
import { hasLlamaCpp, loadGguf } from '@qlora-tooling/llama-cpp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentReporter } from './reporter';
import { evaluate } from './verbs/evaluate';
import { exportGguf } from './verbs/export-gguf';
import { merge } from './verbs/merge';
import { quantize } from './verbs/quantize';
import { train } from './verbs/train';

const shared = fileURLToPath(new URL('../../../../shared/', import.meta.url));
const model = `${shared}models/stories260K`;
const text = `${shared}data/tinyshakespeare.txt`;
const present = existsSync(model) && existsSync(text);
if (!present) console.warn(`fine-tuning is left out: ${shared} is not there`);

const runs = await hasLlamaCpp();

const WINDOW = 128;
// Windows of the held-out tenth that are looked at.
const WINDOWS = 40;

describe.skipIf(!present)('fine-tuning the 4-bit model for 300 steps', { timeout: 1_200_000 }, () => {
  const work = mkdtempSync(join(tmpdir(), 'qlora-fine-tuning-'));
  const paths = {
    quantized: join(work, 'nf4'),
    adapter: join(work, 'adapter'),
    merged: join(work, 'merged'),
    gguf: join(work, 'merged.gguf'),
    train: join(work, 'train.txt'),
    heldOut: join(work, 'held-out.txt'),
  };
  const held = { data: paths.heldOut, sequenceLength: WINDOW, limit: WINDOWS };
  let before: number;
  let after: number;

  beforeAll(async () => {
    const all = readFileSync(text, 'utf8');
    const cut = Math.floor(all.length * 0.9);
    writeFileSync(paths.train, all.slice(0, cut));
    writeFileSync(paths.heldOut, all.slice(cut));
    const scheme = { scheme: 'nf4', blockSize: 64, doubleQuant: true };
    await quantize(model, { out: paths.quantized, ...scheme, overwrite: false }, silentReporter);
    before = (await evaluate(paths.quantized, held, silentReporter)).crossEntropy;
    await train(
      paths.quantized,
      {
        data: paths.train,
        out: paths.adapter,
        rank: 16,
        alpha: 32,
        loraDropout: 0,
        targetModules: 'all-linear',
        sequenceLength: WINDOW,
        quantization: {},
        overwrite: false,
        training: { steps: 300, batchSize: 2, learningRate: 3e-3, schedule: 'cosine', warmup: 10, seed: 1 },
      },
      silentReporter,
    );
    after = (await evaluate(paths.quantized, { ...held, adapter: paths.adapter }, silentReporter))
      .crossEntropy;
    console.log(`held-out cross entropy ${before.toFixed(4)} before, ${after.toFixed(4)} after, in nats`);
  }, 1_200_000);
  afterAll(() => rmSync(work, { recursive: true, force: true }));

  it('lowers cross entropy on text that it has not seen by at least 0.6 nats per token', () => {
    expect(before - after).toBeGreaterThan(0.6);
  });

  it('gives, merged, the cross entropy that the adapter gives beside the 4-bit weights, to 1e-4', async () => {
    const adapters = [{ path: paths.adapter }];
    const options = { adapters, out: paths.merged, dtype: 'f32', overwrite: false } as const;
    await merge(paths.quantized, options, silentReporter);
    const merged = await evaluate(paths.merged, held, silentReporter);
    expect(Math.abs(merged.crossEntropy - after)).toBeLessThan(1e-4);
  });

  it.skipIf(!runs)('gives the same cross entropy in llama.cpp, to 1e-3', async () => {
    const options = { adapters: [{ path: paths.adapter }], out: paths.gguf, type: 'f32' } as const;
    await exportGguf(paths.quantized, options, silentReporter);
    const checkpoint = await openCheckpoint(model);
    const content = readFileSync(paths.heldOut, 'utf8');
    const windows = loadExamples(content, paths.heldOut, checkpoint.tokenizer, WINDOW).slice(0, WINDOWS);
    await checkpoint.close();
    const gguf = await loadGguf(paths.gguf);
    let total = 0;
    let count = 0;
    for (const { input, target } of windows) {
      total += (await gguf.crossEntropy([...input, target.at(-1) ?? 0])) * input.length;
      count += input.length;
    }
    await gguf.dispose();
    expect(Math.abs(total / count - after)).toBeLessThan(1e-3);
  });
});
