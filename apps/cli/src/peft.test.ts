// Our adapters in real PEFT: goldens/*.json of @qlora/models hold the logits that PEFT computed with the adapter that
// `qlora train` makes here again (tooling/conformance/huggingface), on the 4-bit model and merged into the plain one.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tape } from '@qlora/autograd';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withModel } from './load';
import { silentReporter } from './reporter';
import { merge } from './verbs/merge';
import { quantize } from './verbs/quantize';
import { train } from './verbs/train';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const models = { stories260K: `${root}../shared/models/stories260K`, demo: `${root}apps/demo/model` };

/** Logits after the last of `ids`. */
function lastLogits(folder: string, ids: readonly number[], adapter?: string): Promise<number[]> {
  return withModel(folder, { adapter }, silentReporter, async ({ model, backend }) => {
    const tape = new Tape(backend, { record: false });
    const sequence = { batch: 1, sequenceLength: ids.length };
    const hidden = model.hidden(tape, backend.upload(Int32Array.from(ids), [ids.length]), sequence);
    const last = backend.upload(Int32Array.of(ids.length - 1), [1]);
    return [...(await backend.read(model.logits(tape, hidden, last).value))];
  });
}

for (const [name, folder] of Object.entries(models)) {
  if (!existsSync(folder)) console.warn(`${name} is left out: ${folder} is not there`);
  describe.skipIf(!existsSync(folder))(`an adapter for ${name}`, { timeout: 120_000 }, () => {
    const golden = JSON.parse(
      readFileSync(`${root}packages/models/src/goldens/${name}.json`, 'utf8'),
    ) as Record<'ids' | 'adapted' | 'mergedByPeft', number[]>;
    const work = mkdtempSync(join(tmpdir(), 'qlora-peft-'));
    const quantized = join(work, 'nf4');
    const adapter = join(work, 'adapter');
    const run = (out: string, seed: number) =>
      train(
        quantized,
        {
          data: `${root}apps/demo/data/pirate.jsonl`,
          out,
          rank: 4,
          alpha: 8,
          loraDropout: 0,
          targetModules: 'all-linear',
          sequenceLength: 64,
          quantization: {},
          overwrite: false,
          // Schedule and the rest are those of the command's defaults, with which the goldens were made.
          training: { steps: 3, batchSize: 2, learningRate: 0.01, warmup: 0, seed },
        },
        silentReporter,
      );
    const weights = (out: string) => readFileSync(join(out, 'adapter_model.safetensors'));

    beforeAll(async () => {
      const options = { scheme: 'nf4', blockSize: 64, doubleQuant: true, overwrite: false };
      await quantize(folder, { out: quantized, ...options }, silentReporter);
      await run(adapter, 7);
    });
    afterAll(() => rmSync(work, { recursive: true, force: true }));

    it('gives in 4 bits the logits that PEFT gives with bitsandbytes, to 1e-3', async () => {
      expectClose(await lastLogits(quantized, golden.ids, adapter), golden.adapted, 1e-3);
    });

    it('merged into the plain model gives the logits that PEFT gives after its own merge, to 1e-3', async () => {
      const merged = join(work, 'merged');
      await merge(
        folder,
        { adapters: [{ path: adapter }], base: folder, out: merged, dtype: 'f32', overwrite: false },
        silentReporter,
      );
      expectClose(await lastLogits(merged, golden.ids), golden.mergedByPeft, 1e-3);
    });

    it('merged into the 4-bit weights gives the logits that it gave beside them, to 1e-3', async () => {
      const merged = join(work, 'merged-nf4');
      await merge(
        quantized,
        { adapters: [{ path: adapter }], out: merged, dtype: 'f32', overwrite: false },
        silentReporter,
      );
      const beside = await lastLogits(quantized, golden.ids, adapter);
      expectClose(await lastLogits(merged, golden.ids), beside, 1e-3);
    });

    it('is the same to the byte with the same seed, and another with another', async () => {
      await run(join(work, 'again'), 7);
      await run(join(work, 'other'), 8);
      expect(weights(join(work, 'again')).equals(weights(adapter))).toBe(true);
      expect(weights(join(work, 'other')).equals(weights(adapter))).toBe(false);
    });
  });
}

function expectClose(actual: readonly number[], expected: readonly number[], bound: number) {
  expect(actual.length).toBe(expected.length);
  const worst = Math.max(...actual.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN))));
  expect(worst).toBeLessThan(bound);
}
