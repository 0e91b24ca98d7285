// The model in model/: what the issue of a newcomer's first run asks of it, and that its stories hold together.
import { readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createBackend } from '@qlora/backend';
import { generate, loadModel } from '@qlora/models';
import { openCheckpoint } from '@qlora/models/node';
import { elementCount } from '@qlora/tensor';
import { expect, it } from 'vitest';
import { parseStory } from './corpus/parse';

const folder = fileURLToPath(new URL('../model', import.meta.url));

it('has 200 000 to 500 000 parameters in at most 2 MB', async () => {
  const checkpoint = await openCheckpoint(folder);
  const parameters = checkpoint.source.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  expect(parameters).toBeGreaterThan(200_000);
  expect(parameters).toBeLessThan(500_000);
  const size = readdirSync(folder).reduce((sum, name) => sum + statSync(`${folder}/${name}`).size, 0);
  expect(size).toBeLessThan(2_000_000);
  await checkpoint.close();
});

it('tells stories in which plot, hero and friend stay the same, most of the time', async () => {
  const checkpoint = await openCheckpoint(folder);
  const { tokenizer } = checkpoint;
  const model = await loadModel(createBackend(), checkpoint);
  let steps = 0;
  let kept = 0;
  for (const start of ['Ben the bear', 'Mia the mouse', 'Anna the owl', 'Leo the fox', 'Lily the duck']) {
    const ids = tokenizer.encode(start);
    for await (const id of generate(model, tokenizer.encode(start), { maxTokens: 220, temperature: 0 })) {
      ids.push(id);
    }
    const reading = parseStory(tokenizer.decode(ids));
    steps += reading.steps;
    kept += reading.kept;
  }
  expect(kept / steps).toBeGreaterThan(0.75);
  await checkpoint.close();
});
