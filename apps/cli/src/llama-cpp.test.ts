// Our GGUF files in llama.cpp itself: the same ids, the same text, the same cross entropy as our own model's, for each
// type within the bound that stands here.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qlora/models/node';
import { loadExamples } from '@qlora/trainer';
import { hasLlamaCpp, loadGguf } from '@qlora-tooling/llama-cpp';
import { afterAll, describe, expect, it } from 'vitest';
import { silentReporter } from './reporter';
import { evaluate } from './verbs/evaluate';
import { exportGguf } from './verbs/export-gguf';
import { generate } from './verbs/generate';
import { quantize } from './verbs/quantize';
import { train } from './verbs/train';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const shared = `${root}../shared`;
const pirates = `${root}apps/demo/data/pirate.jsonl`;

const models = [
  {
    name: 'stories260K',
    folder: `${shared}/models/stories260K`,
    text: `${shared}/data/tinyshakespeare.txt`,
    prompt: 'Once upon a time',
    windows: 6,
    window: 255,
  },
  {
    name: "the demo's model",
    folder: `${root}apps/demo/model`,
    text: pirates,
    prompt: 'Once there',
    windows: 2,
    window: 192,
  },
];
/** How far llama.cpp's cross entropy may be from that of our f32 model, in nats per token. */
const bounds = { f32: 3e-4, f16: 5e-4, bf16: 2e-3, q8_0: 1e-2 } as const;

// Spaces, lines, what the vocabulary lacks, other scripts, an empty text.
const texts = [
  'Once upon a time, there was a little girl.',
  ' a leading space, and  two  in a row ',
  'lines\nand\n\nmore\tof them\r\n',
  'Zürich, naïve, Ωmega, Привет, 日本語, 🦊🏴‍☠️',
  'aaaaaaaaaaaaaaaa 1234567890 !!!???...',
  '',
];

const work = mkdtempSync(join(tmpdir(), 'qlora-llama-cpp-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const runs = await hasLlamaCpp();
if (!runs) console.warn('llama.cpp is left out: node-llama-cpp has no binary for this platform');

for (const { name, folder, text, prompt, windows, window } of models) {
  const present = existsSync(folder) && existsSync(text);
  if (!present) console.warn(`${name} is left out: ${folder} or ${text} is not there`);

  describe.skipIf(!runs || !present)(`llama.cpp with ${name}`, { timeout: 120_000 }, () => {
    const gguf = async (type: 'f32' | 'f16' | 'bf16' | 'q8_0', adapter?: string) => {
      const out = join(work, `${name}-${type}${adapter ? '-adapted' : ''}.gguf`);
      if (!existsSync(out))
        await exportGguf(folder, { out, type, adapters: adapter ? [{ path: adapter }] : [] }, silentReporter);
      return out;
    };
    const data = { data: text, sequenceLength: window, limit: windows };
    let plain: ReturnType<typeof evaluate> | undefined;
    const ours = () => {
      plain ??= evaluate(folder, data, silentReporter);
      return plain;
    };
    /** The same windows in llama.cpp. */
    const theirs = async (file: string) => {
      const checkpoint = await openCheckpoint(folder);
      const examples = loadExamples(readFileSync(text, 'utf8'), text, checkpoint.tokenizer, window);
      await checkpoint.close();
      const model = await loadGguf(file);
      let total = 0;
      let count = 0;
      for (const { input, target } of examples.slice(0, windows)) {
        const ids = [...input, target.at(-1) ?? 0];
        total += (await model.crossEntropy(ids)) * input.length;
        count += input.length;
      }
      await model.dispose();
      return total / count;
    };

    it('splits texts into the same ids', async () => {
      const checkpoint = await openCheckpoint(folder);
      const model = await loadGguf(await gguf('f32'));
      for (const sample of texts) {
        expect([sample, model.tokenize(sample)]).toEqual([
          sample,
          checkpoint.tokenizer.encode(sample).slice(1),
        ]);
      }
      const marked = 'before<s>after</s> it';
      expect(model.tokenize(marked, { special: true })).toEqual(checkpoint.tokenizer.encode(marked).slice(1));
      await model.dispose();
      await checkpoint.close();
    });

    it('tells the same story', async () => {
      const expected = await generate(
        folder,
        { prompt, maxTokens: 60, temperature: 0, topP: 1, seed: 0 },
        silentReporter,
      );
      const checkpoint = await openCheckpoint(folder);
      const model = await loadGguf(await gguf('f32'));
      const start = checkpoint.tokenizer.encode(prompt);
      const ids = await model.greedy(start, 60);
      const end = ids.indexOf(checkpoint.config.eosTokenIds[0] ?? -1);
      const told = checkpoint.tokenizer.decode([...start, ...(end < 0 ? ids : ids.slice(0, end))]);
      expect(told).toBe(prompt + expected);
      await model.dispose();
      await checkpoint.close();
    });

    it.each(Object.entries(bounds))('in %s has our cross entropy to %f nats', async (type, bound) => {
      const { crossEntropy } = await ours();
      const there = await theirs(await gguf(type as keyof typeof bounds));
      expect(Math.abs(there - crossEntropy)).toBeLessThan(bound);
    });

    it('with an adapter merged into the 4-bit weights has the cross entropy of training', async () => {
      const adapter = join(work, `${name}-adapter`);
      const quantized = join(work, `${name}-nf4`);
      await quantize(
        folder,
        { out: quantized, scheme: 'nf4', blockSize: 64, doubleQuant: true, overwrite: false },
        silentReporter,
      );
      await train(
        quantized,
        {
          data: pirates,
          out: adapter,
          rank: 4,
          alpha: 8,
          loraDropout: 0,
          targetModules: 'all-linear',
          sequenceLength: 64,
          quantization: {},
          overwrite: false,
          training: { steps: 3, batchSize: 2, learningRate: 0.01, schedule: 'constant', warmup: 0, seed: 7 },
        },
        silentReporter,
      );
      const { crossEntropy } = await evaluate(quantized, { ...data, adapter }, silentReporter);
      const out = join(work, `${name}-merged.gguf`);
      await exportGguf(quantized, { out, type: 'f32', adapters: [{ path: adapter }] }, silentReporter);
      expect(Math.abs((await theirs(out)) - crossEntropy)).toBeLessThan(bounds.f32);
      expect(Math.abs((await ours()).crossEntropy - crossEntropy)).toBeGreaterThan(0.02);
    });
  });
}
