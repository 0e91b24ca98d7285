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

/**
 * A batch that takes as much memory as any of so many examples: all as long as the longest, and as many tokens to learn as
 * can be. Its content is zeros.
 */
export function largestBatch(examples: readonly Example[], batchSize: number): Batch {
  const lengthOf = ({ input }: Example) => input.length;
  const most = (of: (example: Example) => number) => examples.reduce((max, one) => Math.max(max, of(one)), 0);
  const sequenceLength = most(lengthOf);
  const rows = batchSize * sequenceLength;
  const full = examples.every((example) => learnt(example.target) === sequenceLength);
  // Where some rows are left out the others are picked, which takes memory too: all rows but one take the most.
  const tokens = full ? rows : Math.min(batchSize * most(({ target }) => learnt(target)), rows - 1);
  const target = new Int32Array(rows).fill(IGNORE_INDEX).fill(0, 0, tokens);
  return { input: new Int32Array(rows), target, batch: batchSize, sequenceLength, tokens };
}

/** Targets that are not ignored. */
const learnt = (target: Int32Array): number =>
  target.reduce((count, id) => (id === IGNORE_INDEX ? count : count + 1), 0);

/** Puts examples into one batch. */
export function makeBatch(examples: readonly Example[]): Batch {
  const sequenceLength = Math.max(...examples.map((example) => example.input.length));
  const input = new Int32Array(examples.length * sequenceLength);
  const target = new Int32Array(examples.length * sequenceLength).fill(IGNORE_INDEX);
  examples.forEach((example, row) => {
    input.set(example.input, row * sequenceLength);
    target.set(example.target, row * sequenceLength);
  });
  return { input, target, batch: examples.length, sequenceLength, tokens: learnt(target) };
}
