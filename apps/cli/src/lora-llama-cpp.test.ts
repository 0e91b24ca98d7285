// Adapters that were trained here, in llama.cpp beside the base's GGUF file: the cross entropy of training, within the bound that
// stands here; and two of them at once, each with a weight.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qlora/models/node';
import { loadExamples } from '@qlora/trainer';
import { hasLlamaCpp, type LoraFile, loadGguf } from '@qlora-tooling/llama-cpp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentReporter } from './reporter';
import { evaluate } from './verbs/evaluate';
import { exportGguf } from './verbs/export-gguf';
import { exportLoraGguf } from './verbs/export-lora-gguf';
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
    windows: 2,
    window: 127,
  },
  { name: "the demo's model", folder: `${root}apps/demo/model`, text: pirates, windows: 2, window: 127 },
];
/** How far llama.cpp's cross entropy may be from that of our f32 model, in nats per token, with the adapter in each type. */
const bounds = { f32: 3e-4, f16: 5e-4, bf16: 2e-3, q8_0: 2e-3 } as const;
const WEIGHTS = [0.5, -0.75] as const;

const runs = await hasLlamaCpp();
if (!runs) console.warn('llama.cpp is left out: node-llama-cpp has no binary for this platform');

for (const { name, folder, text, windows, window } of models) {
  const present = existsSync(folder) && existsSync(text);
  if (!present) console.warn(`${name} is left out: ${folder} or ${text} is not there`);

  describe.skipIf(!runs || !present)(`llama.cpp with ${name} and adapters`, { timeout: 120_000 }, () => {
    const work = mkdtempSync(join(tmpdir(), 'qlora-lora-llama-cpp-'));
    const quantized = join(work, 'nf4');
    const base = join(work, 'base.gguf');
    let examples: ReturnType<typeof loadExamples> = [];
    const adapters = [join(work, 'first'), join(work, 'second')] as const;

    beforeAll(async () => {
      const checkpoint = await openCheckpoint(folder);
      const all = loadExamples(readFileSync(text, 'utf8'), text, checkpoint.tokenizer, window);
      examples = all.slice(0, windows);
      await checkpoint.close();
      const scheme = { scheme: 'nf4', blockSize: 64, doubleQuant: true };
      await quantize(folder, { out: quantized, ...scheme, overwrite: false }, silentReporter);
      await exportGguf(quantized, { out: base, type: 'f32' }, silentReporter);
      for (const [seed, out] of adapters.entries()) {
        await train(
          quantized,
          {
            data: pirates,
            out,
            rank: 4,
            alpha: 8,
            loraDropout: 0,
            targetModules: seed === 0 ? 'all-linear' : ['q_proj', 'k_proj', 'v_proj'],
            sequenceLength: 64,
            quantization: {},
            overwrite: false,
            training: { steps: 3, batchSize: 2, learningRate: 0.03, schedule: 'constant', warmup: 0, seed },
          },
          silentReporter,
        );
      }
    }, 120_000);
    afterAll(() => rmSync(work, { recursive: true, force: true }));

    const written = async (adapter: string, type: keyof typeof bounds): Promise<string> => {
      const out = `${adapter}-${type}.gguf`;
      if (!existsSync(out)) await exportLoraGguf(adapter, { base: folder, out, type }, silentReporter);
      return out;
    };
    /** Mean cross entropy of the text in llama.cpp. */
    const theirs = async (file: string, lora: readonly LoraFile[]): Promise<number> => {
      const model = await loadGguf(file, { lora });
      let total = 0;
      let count = 0;
      for (const { input, target } of examples) {
        const ids = [...input, target.at(-1) ?? 0];
        total += (await model.crossEntropy(ids)) * input.length;
        count += input.length;
      }
      await model.dispose();
      return total / count;
    };

    it('has the cross entropy of training, whatever the type of the adapter', async () => {
      const data = { data: text, sequenceLength: window, limit: windows };
      const { crossEntropy } = await evaluate(quantized, { ...data, adapter: adapters[0] }, silentReporter);
      for (const type of ['f32', 'f16', 'bf16', 'q8_0'] as const) {
        const there = await theirs(base, [{ path: await written(adapters[0], type) }]);
        expect(Math.abs(there - crossEntropy)).toBeLessThan(bounds[type]);
      }
      expect(Math.abs((await theirs(base, [])) - crossEntropy)).toBeGreaterThan(0.02);
    });

    it('with two adapters, each with a weight, computes what both merged with these weights do', async () => {
      const merged = join(work, 'merged.gguf');
      const parts = adapters.map((path, i) => ({ path, weight: WEIGHTS[i] ?? 0 }));
      await exportGguf(quantized, { adapters: parts, out: merged, type: 'f32' }, silentReporter);
      const weighted: LoraFile[] = [];
      for (const { path, weight } of parts)
        weighted.push({ path: await written(path, 'f32'), scale: weight });
      const expected = await theirs(merged, []);
      expect(Math.abs((await theirs(base, weighted)) - expected)).toBeLessThan(bounds.f32);
      const unweighted = weighted.map(({ path }) => ({ path }));
      expect(Math.abs((await theirs(base, unweighted)) - expected)).toBeGreaterThan(0.02);
    });
  });
}
