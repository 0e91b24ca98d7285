// Generating text, one token at a time, with a key-value cache.
import { Tape } from '@qlora/autograd';
import { QloraError, random } from '@qlora/tensor';
import { KeyValueCache } from './kv-cache';
import type { LlamaModel } from './llama';
import { type SamplingOptions, sample } from './sampling';

/** Options of {@link generate}. */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to add. Default 128. The model's context ends it earlier. */
  readonly maxTokens?: number;
  /** Ids that end the text. Default: those of the model's config. */
  readonly stopIds?: readonly number[];
  /** Seed of sampling. Default 0. */
  readonly seed?: number;
}

/**
 * Yields the ids that follow `prompt`; a stop id is not yielded.
 *
 * @throws QloraError for an empty prompt, an id outside the vocabulary, or a prompt longer than the context.
 * @example
 * for await (const id of generate(model, tokenizer.encode('Once upon a time'))) ids.push(id);
 */
export async function* generate(
  model: LlamaModel,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  const { backend, config } = model;
  const { maxTokens = 128, stopIds = config.eosTokenIds, seed = 0 } = options;
  if (prompt.length === 0) throw new QloraError({ what: 'the prompt has no tokens', fix: 'give some text' });
  const rng = random(seed);
  const capacity = Math.min(config.contextLength, prompt.length + maxTokens);
  if (prompt.length > capacity) {
    throw new QloraError({
      what: `a prompt of ${prompt.length} tokens is longer than the model's context of ${config.contextLength}`,
      fix: 'shorten it',
    });
  }
  const cache = new KeyValueCache(backend, config, capacity);
  try {
    let ids = prompt;
    for (let count = 0; count < maxTokens && cache.length + ids.length <= capacity; count++) {
      const next = sample(await lastLogits(model, ids, cache), options, rng);
      if (stopIds.includes(next)) return;
      yield next;
      ids = [next];
    }
  } finally {
    cache.free();
  }
}

/** Logits after the last of `ids`, which are added to the cache. */
function lastLogits(model: LlamaModel, ids: readonly number[], cache: KeyValueCache): Promise<Float32Array> {
  const { backend } = model;
  return backend.scope(() => {
    const tape = new Tape(backend, { record: false });
    const tokens = backend.upload(Int32Array.from(ids), [ids.length]);
    const hidden = model.hidden(tape, tokens, { batch: 1, sequenceLength: ids.length }, { cache });
    const last = backend.upload(Int32Array.of(ids.length - 1), [1]);
    return backend.read(model.logits(tape, hidden, last).value);
  });
}
