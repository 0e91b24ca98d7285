// A real trained model tells the story that its author published with it (../shared, beside the repository).
import { existsSync } from 'node:fs';
import { createBackend } from '@qlora/backend';
import { describe, expect, it } from 'vitest';
import { generate, loadModel } from './index';
import { openCheckpoint } from './node';
import { allLogits } from './testing';

const folder = new URL('../../../../shared/models/stories260K', import.meta.url).pathname;
if (!existsSync(folder)) console.warn(`stories260K is left out: ${folder} is not there`);

const STORY = `Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with your ball, but`;

describe.skipIf(!existsSync(folder))('stories260K', () => {
  it('tells its published story, token for token', async () => {
    const checkpoint = await openCheckpoint(folder);
    const { tokenizer } = checkpoint;
    const prompt = tokenizer.encode('Once upon a time');
    expect(prompt).toEqual([1, 403, 407, 261, 378]);
    const model = await loadModel(createBackend(), checkpoint);
    const ids = [...prompt];
    const story = tokenizer.encode(STORY);
    for await (const id of generate(model, prompt, { maxTokens: story.length - prompt.length })) ids.push(id);
    expect(tokenizer.decode(ids)).toBe(STORY);
    await checkpoint.close();
  });

  it('in 4 bits is near, but not the same', async () => {
    const checkpoint = await openCheckpoint(folder);
    const backend = createBackend();
    const ids = checkpoint.tokenizer.encode(STORY.slice(0, 100));
    const dense = await allLogits(await loadModel(backend, checkpoint), ids);
    const quantized = await allLogits(await loadModel(backend, checkpoint, { quantize: {} }), ids);
    await checkpoint.close();
    const agree = dense.filter((row, i) => argmax(row) === argmax(quantized[i] ?? row)).length;
    expect(quantized).not.toEqual(dense);
    expect(agree / dense.length).toBeGreaterThan(0.8);
  });
});

function argmax(row: Float32Array): number {
  return row.indexOf(Math.max(...row));
}
