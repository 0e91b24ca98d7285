// The loss. It ends the tape: its gradient does not depend on a gradient from above but on one number, so it starts the
// backward pass itself.
import type { Buffer } from '@qlora/backend';
import type { Tape, Variable } from './tape';

/** A loss that can be read and sent backward. */
export interface Loss {
  /** Negative log likelihood of each row, in nats, 0 for ignored rows. Sum it and divide by the count of the others. */
  readonly losses: Buffer;
  /** Runs the tape backward from `scale` · Σ losses; for a mean, scale is 1 / count. */
  backward(scale: number): void;
}

/** Cross entropy of logits [M, V] against target ids [M] (i32; IGNORE_INDEX leaves a row out). */
export function crossEntropy(tape: Tape, logits: Variable, targets: Buffer): Loss {
  const { backend } = tape;
  const { losses, logSumExp } = backend.crossEntropy(logits.value, targets);
  return {
    losses,
    backward(scale) {
      tape.backward(logits, backend.crossEntropyBackward(logits.value, targets, logSumExp, scale));
    },
  };
}
