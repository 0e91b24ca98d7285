// Our models, 4-bit checkpoints and adapters held to what transformers, bitsandbytes and PEFT say of the same files
// (goldens/*.json, made by tooling/conformance/huggingface).
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Tape } from '@qlora/autograd';
import { createBackend } from '@qlora/backend';
import { loadAdapter } from '@qlora/peft/node';
import { bitsandbytesView } from '@qlora/safetensors';
import { bytesOf } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { applyAdapter, type LlamaModel, loadModel, quantizedWeights } from './index';
import { openCheckpoint } from './node';

interface Golden {
  readonly ids: number[];
  readonly plain: number[];
  readonly quantized: number[];
  readonly peftAdapter: number[];
  readonly quantizedTensors: Record<string, string>;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));
const models = { stories260K: `${root}../shared/models/stories260K`, demo: `${root}apps/demo/model` };
const torchTypes: Record<string, string> = { f32: 'torch.float32', u8: 'torch.uint8' };

/** Logits after the last of `ids`. */
async function lastLogits(model: LlamaModel, ids: number[]): Promise<Float32Array> {
  const { backend } = model;
  const tape = new Tape(backend, { record: false });
  const hidden = model.hidden(tape, backend.upload(Int32Array.from(ids), [ids.length]), {
    batch: 1,
    sequenceLength: ids.length,
  });
  return backend.read(model.logits(tape, hidden, backend.upload(Int32Array.of(ids.length - 1), [1])).value);
}

function expectClose(logits: Float32Array, expected: number[], bound: number) {
  expect(logits.length).toBe(expected.length);
  const worst = logits.reduce(
    (max, logit, i) => Math.max(max, Math.abs(logit - (expected[i] ?? Number.NaN))),
    0,
  );
  expect(worst).toBeLessThan(bound);
}

for (const [name, folder] of Object.entries(models)) {
  const goldenFile = new URL(`./goldens/${name}.json`, import.meta.url);
  if (!existsSync(folder)) console.warn(`${name} is left out: ${folder} is not there`);
  describe.skipIf(!existsSync(folder))(name, () => {
    const golden = JSON.parse(readFileSync(goldenFile, 'utf8')) as Golden;
    const backend = createBackend();

    it('gives the logits that transformers gives, to 1e-4', async () => {
      const checkpoint = await openCheckpoint(folder);
      expect(
        checkpoint.tokenizer.encode('Once upon a time there was a small fox who lived by the river.'),
      ).toEqual(golden.ids);
      expectClose(await lastLogits(await loadModel(backend, checkpoint), golden.ids), golden.plain, 1e-4);
      await checkpoint.close();
    });

    it('in 4 bits gives the logits that transformers gives with bitsandbytes, to 1e-4', async () => {
      const checkpoint = await openCheckpoint(folder);
      expectClose(
        await lastLogits(await loadModel(backend, checkpoint, { quantize: {} }), golden.ids),
        golden.quantized,
        1e-4,
      );
      await checkpoint.close();
    });

    it('in 4 bits has the tensors that transformers saves with bitsandbytes, byte for byte', async () => {
      const checkpoint = await openCheckpoint(folder);
      const { source } = bitsandbytesView(quantizedWeights(checkpoint));
      const hashes: Record<string, string> = {};
      for (const { name: key } of source.tensors) {
        const { dtype, shape, data } = await source.read(key);
        const hash = createHash('sha256').update(bytesOf(data)).digest('hex').slice(0, 16);
        hashes[key] = `${torchTypes[dtype]} [${shape.join(', ')}] ${hash}`;
      }
      expect(hashes).toEqual(golden.quantizedTensors);
      await checkpoint.close();
    });

    it("with an adapter that PEFT made gives PEFT's logits, to 1e-4", async () => {
      const checkpoint = await openCheckpoint(folder);
      const model = await loadModel(backend, checkpoint);
      applyAdapter(
        model,
        await loadAdapter(fileURLToPath(new URL(`./goldens/${name}-peft-adapter`, import.meta.url))),
      );
      expectClose(await lastLogits(model, golden.ids), golden.peftAdapter, 1e-4);
      await checkpoint.close();
    });
  });
}
