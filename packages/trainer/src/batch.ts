// Examples side by side: padded on the right to the longest, which causal attention and ignored targets make harmless.
import { IGNORE_INDEX } from '@qlora/backend';
import type { Example } from './dataset';

/** Rows of a batch, ready for a backend. */
export interface Batch {
  /** [batch · sequenceLength] token ids. */
  readonly input: Int32Array;
  readonly target: Int32Array;
  readonly batch: number;
  readonly sequenceLength: number;
  /** Targets that are not ignored. */
  readonly tokens: number;
}

/** Puts examples into one batch. */
export function makeBatch(examples: readonly Example[]): Batch {
  const sequenceLength = Math.max(...examples.map((example) => example.input.length));
  const input = new Int32Array(examples.length * sequenceLength);
  const target = new Int32Array(examples.length * sequenceLength).fill(IGNORE_INDEX);
  examples.forEach((example, row) => {
    input.set(example.input, row * sequenceLength);
    target.set(example.target, row * sequenceLength);
  });
  let tokens = 0;
  for (const id of target) if (id !== IGNORE_INDEX) tokens++;
  return { input, target, batch: examples.length, sequenceLength, tokens };
}
