// What the tests of this package share: a random tiny Llama, and a tokenizer of letters.
import { type Backend, createReferenceBackend } from '@qlora/backend';
import {
  type ChatMessage,
  type LlamaModel,
  llamaFamily,
  llamaTensors,
  parseLlamaConfig,
  type Tokenizer,
} from '@qlora/models';
import { elementCount, memorySource, random, type Tensor, tensor } from '@qlora/tensor';
import type { Example } from './dataset';

/** A random model of one layer with 12 tokens and a context of 32. */
export function tinyModel(backend: Backend, seed = 1): Promise<LlamaModel> {
  const config = parseLlamaConfig({
    model_type: 'llama',
    hidden_size: 8,
    intermediate_size: 12,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    vocab_size: 12,
    max_position_embeddings: 32,
    tie_word_embeddings: true,
  });
  const rng = random(seed);
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of llamaTensors(config)) {
    const count = shape.reduce((a, b) => a * b, 1);
    tensors.set(
      name,
      tensor(
        'f32',
        shape,
        Float32Array.from({ length: count }, () => 0.5 * rng.normal()),
      ),
    );
  }
  return llamaFamily.build(backend, config, memorySource(tensors));
}

/** The backend, and the bytes of each plan that it is asked for. */
export function notingPlans(made: Backend): { backend: Backend; plans: number[] } {
  const plans: number[] = [];
  const backend: Backend = {
    ...made,
    async plan(body) {
      const bytes = (await made.plan?.(body)) ?? Number.NaN;
      plans.push(bytes);
      return bytes;
    },
  };
  return { backend, plans };
}

/** A reference backend that plans as the contract says: nothing is computed, and what was there before stays. */
export function planningReference(): Backend {
  const reference = createReferenceBackend();
  let planning = false;
  const unless =
    <A extends unknown[]>(operation: (...args: A) => void) =>
    (...args: A): void => {
      if (!planning) operation(...args);
    };
  return {
    ...reference,
    read: async (buffer) =>
      planning ? new Float32Array(elementCount(buffer.shape)) : reference.read(buffer),
    write: unless(reference.write),
    fill: unless(reference.fill),
    addInto: unless(reference.addInto),
    matmulInto: unless(reference.matmulInto),
    adamw: unless(reference.adamw),
    async plan(body) {
      const before = reference.memory().current;
      planning = true;
      await body();
      planning = false;
      return reference.memory().peak - before;
    },
  };
}

/** Sequences of random tokens below 12, of the given lengths. */
export function randomExamples(lengths: readonly number[], seed = 2): Example[] {
  const rng = random(seed);
  return lengths.map((length) => {
    const ids = Int32Array.from({ length: length + 1 }, () => rng.integer(12));
    return { input: ids.slice(0, -1), target: ids.slice(1) };
  });
}

/**
 * One id a letter: `a` is 10, `b` is 11, and so on; BOS is 1 and EOS is 2 unless left out. A chat is `role:content;` for
 * each message.
 */
export function letterTokenizer(options: { bos?: boolean; eos?: boolean } = {}): Tokenizer {
  const { bos = true, eos = true } = options;
  return {
    vocabularySize: 200,
    bosId: bos ? 1 : undefined,
    eosId: eos ? 2 : undefined,
    encode: (text, { special = true } = {}) => [
      ...(special && bos ? [1] : []),
      ...[...text].map((letter) => letter.charCodeAt(0) - 87),
    ],
    decode: (ids) => ids.map((id) => String.fromCharCode(id + 87)).join(''),
    piece: (id) => String.fromCharCode(id + 87),
    hasChatTemplate: true,
    chat: (messages: readonly ChatMessage[], { addGenerationPrompt = false } = {}) =>
      messages.map(({ role, content }) => `${role}:${content};`).join('') +
      (addGenerationPrompt ? 'assistant:' : ''),
  };
}
