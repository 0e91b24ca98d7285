// Generating with a key-value cache: what a pass over the whole text would give, and where it ends.
import { Tape } from '@qlora/autograd';
import { createBackend } from '@qlora/backend';
import { QloraError } from '@qlora/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { type GenerateOptions, generate, greedy, KeyValueCache, type LlamaModel } from './index';
import { allLogits, randomTensors, tinyModel } from './testing';

const backend = createBackend();
afterAll(() => backend.dispose());
const collect = async (model: LlamaModel, prompt: number[], options?: GenerateOptions) => {
  const ids: number[] = [];
  for await (const id of generate(model, prompt, options)) ids.push(id);
  return ids;
};
/** Greedy without a cache: every token from a pass over all that came before. */
const slow = async (model: LlamaModel, prompt: number[], count: number) => {
  const ids = [...prompt];
  for (let i = 0; i < count; i++)
    ids.push(greedy((await allLogits(model, ids)).at(-1) ?? new Float32Array(1)));
  return ids.slice(prompt.length);
};

describe.each([
  ['tied', {}],
  ['untied', { tie_word_embeddings: false }],
  ['with biases', { attention_bias: true, mlp_bias: true }],
  ['with one key head', { num_key_value_heads: 1 }],
  ['with scaled positions', { rope_scaling: { type: 'linear', factor: 2 } }],
  ['with heads wider than the model', { head_dim: 8 }],
])('a model %s', (_, edit) => {
  it('says with the cache what it says without', async () => {
    const model = await tinyModel(backend, edit);
    for (const prompt of [[1], [1, 5, 9, 3, 3, 17]]) {
      const expected = await slow(model, prompt, 12);
      expect(await collect(model, prompt, { maxTokens: 12 })).toEqual(expected);
      expect(new Set(expected).size).toBeGreaterThan(1);
    }
  });
});

describe('a generation', () => {
  it('ends before a stop token, which it does not give', async () => {
    const free = await tinyModel(backend);
    const ids = await collect(free, [1, 2, 3], { maxTokens: 12 });
    const stop = ids[5] ?? 0;
    const expected = ids.slice(0, ids.indexOf(stop));
    expect(await collect(free, [1, 2, 3], { maxTokens: 12, stopIds: [19, stop] })).toEqual(expected);
    // By default the stop tokens are those of the config.
    const ending = await tinyModel(backend, { eos_token_id: [stop] });
    expect(await collect(ending, [1, 2, 3], { maxTokens: 12 })).toEqual(expected);
    expect(await collect(ending, [1, 2, 3], { maxTokens: 12, stopIds: [] })).toEqual(ids);
  });
  it('ends after so many tokens, or where the context is full', async () => {
    const model = await tinyModel(backend);
    expect(await collect(model, [1], { maxTokens: 5 })).toHaveLength(5);
    // The last token that is given needs no room of its own: 24 positions see a prompt of 4 and 20 of 21 tokens.
    const full = await collect(model, [1, 2, 3, 4], { maxTokens: 100 });
    expect(full).toHaveLength(21);
    expect(full).toEqual(await slow(model, [1, 2, 3, 4], 21));
  });
  it('with a temperature is the same with the same seed, and another with another', async () => {
    const model = await tinyModel(backend);
    const say = (seed: number) => collect(model, [1], { maxTokens: 15, temperature: 1.5, seed });
    expect(await say(1)).toEqual(await say(1));
    expect(await say(1)).not.toEqual(await say(2));
  });
  it('that is left early, or fails, gives its memory back', async () => {
    const model = await tinyModel(backend);
    const before = backend.memory().current;
    for await (const _ of generate(model, [1, 2], { maxTokens: 10 })) break;
    expect(backend.memory().current).toBe(before);
    await expect(collect(model, [1, 99])).rejects.toThrow(/token id 99 is outside the vocabulary of 20/);
    expect(backend.memory().current).toBe(before);
  });
  it('refuses a prompt that is empty or longer than the context', async () => {
    const model = await tinyModel(backend);
    await expect(collect(model, [])).rejects.toThrow(/the prompt has no tokens/);
    await expect(collect(model, new Array(25).fill(1))).rejects.toThrow(
      /a prompt of 25 tokens is longer than the model's context of 24/,
    );
    expect(await collect(model, new Array(24).fill(1))).toHaveLength(1);
  });
});

describe('embeddings', () => {
  it('tied are the same as untied ones that are equal', async () => {
    const tied = await tinyModel(backend);
    const tensors = randomTensors(tied.config);
    const embedding = tensors.get('model.embed_tokens.weight');
    if (!embedding) throw new Error('no embedding');
    const untied = await tinyModel(
      backend,
      { tie_word_embeddings: false },
      new Map([...tensors, ['lm_head.weight', embedding]]),
    );
    expect(await allLogits(untied, [1, 2, 3])).toEqual(await allLogits(tied, [1, 2, 3]));
    const zeros = { ...embedding, data: new Float32Array(embedding.data.length) };
    const silent = await tinyModel(
      backend,
      { tie_word_embeddings: false },
      new Map([...tensors, ['lm_head.weight', zeros]]),
    );
    expect((await allLogits(silent, [1, 2, 3])).every((row) => row.every((logit) => logit === 0))).toBe(true);
  });
});

describe('the model', () => {
  it('sees nothing of what comes later', async () => {
    const model = await tinyModel(backend);
    const a = await allLogits(model, [1, 2, 3, 4, 5]);
    const b = await allLogits(model, [1, 2, 3, 9, 8]);
    expect(b.slice(0, 3)).toEqual(a.slice(0, 3));
    expect(b[3]).not.toEqual(a[3]);
  });
  it('computes sequences of a batch as it computes them alone', async () => {
    const model = await tinyModel(backend);
    const tape = new Tape(backend, { record: false });
    const ids = backend.upload(Int32Array.of(1, 2, 3, 7, 8, 9), [6]);
    const hidden = model.hidden(tape, ids, { batch: 2, sequenceLength: 3 });
    const flat = await backend.read(model.logits(tape, hidden).value);
    const alone = [...(await allLogits(model, [1, 2, 3])), ...(await allLogits(model, [7, 8, 9]))];
    expect([...flat]).toEqual(alone.flatMap((row) => [...row]));
  });
  it('refuses what is longer than its context', async () => {
    const model = await tinyModel(backend);
    await expect(allLogits(model, new Array(25).fill(1))).rejects.toThrow(QloraError);
    expect(() => new KeyValueCache(backend, model.config, 25)).toThrow(/a cache of 25 tokens is longer/);
  });
});
