// Cross entropy by hand on a tiny model, and on a real one against a published number (../shared, beside the repository).
import { existsSync, readFileSync } from 'node:fs';
import { Tape } from '@qlora/autograd';
import { createBackend } from '@qlora/backend';
import { loadModel } from '@qlora/models';
import { openCheckpoint } from '@qlora/models/node';
import { describe, expect, it } from 'vitest';
import { evaluate, loadExamples } from './index';
import { randomExamples, tinyModel } from './testing';

const shared = new URL('../../../../shared', import.meta.url).pathname;
if (!existsSync(shared)) console.warn(`stories260K is left out: ${shared} is not there`);

describe('evaluating', () => {
  it('is the mean over all tokens of −log softmax, not over sequences, and leaves ignored ones out', async () => {
    const backend = createBackend();
    const model = await tinyModel(backend);
    const examples = randomExamples([5, 2, 9]);
    examples[2]?.target.fill(-100, 0, 4);
    let total = 0;
    let count = 0;
    for (const { input, target } of examples) {
      const tape = new Tape(backend, { record: false });
      const shape = { batch: 1, sequenceLength: input.length };
      const hidden = model.hidden(tape, backend.upload(input, [input.length]), shape);
      const logits = await backend.read(model.logits(tape, hidden).value);
      target.forEach((id, row) => {
        if (id === -100) return;
        const scores = [...logits.subarray(row * 12, row * 12 + 12)];
        const normalizer = Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0));
        total += normalizer - (scores[id] ?? Number.NaN);
        count++;
      });
    }
    const seen: number[][] = [];
    const found = await evaluate(model, examples, (...progress) => seen.push(progress));
    expect(found.tokens).toBe(5 + 2 + 5);
    expect(count).toBe(found.tokens);
    expect(found.crossEntropy).toBeCloseTo(total / count, 6);
    expect(found.perplexity).toBeCloseTo(Math.exp(total / count), 4);
    expect(seen).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
  });
  it('changes nothing and leaves no memory behind', async () => {
    const backend = createBackend();
    const model = await tinyModel(backend);
    const before = backend.memory().current;
    const examples = randomExamples([5, 2]);
    expect(await evaluate(model, examples)).toEqual(await evaluate(model, examples));
    expect(backend.memory().current).toBe(before);
  });
});

it.skipIf(!existsSync(shared))(
  'stories260K has 4.1575 ± 0.0005 nats on the first six windows of 255 tokens of tinyshakespeare',
  async () => {
    const checkpoint = await openCheckpoint(`${shared}/models/stories260K`);
    const model = await loadModel(createBackend(), checkpoint);
    // More than six windows' worth of the text; its first windows are those of the whole.
    const text = readFileSync(`${shared}/data/tinyshakespeare.txt`, 'utf8').slice(0, 20000);
    const windows = loadExamples(text, 'tinyshakespeare.txt', checkpoint.tokenizer, 255).slice(0, 6);
    const { crossEntropy, tokens } = await evaluate(model, windows);
    expect(tokens).toBe(6 * 255);
    expect(Math.abs(crossEntropy - 4.1575)).toBeLessThan(0.0005);
    await checkpoint.close();
  },
);
