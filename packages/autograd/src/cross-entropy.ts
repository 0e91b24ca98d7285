// The loss. It ends the tape: its gradient does not depend on a gradient from above but on one number, so it starts the
// backward pass itself.
import type { Buffer } from '@qlora/backend';
import { QloraError } from '@qlora/tensor';
import type { Tape } from './tape';
import type { Variable } from './variable';

/** A loss that can be read and sent backward. */
export interface Loss {
  /** Negative log likelihoods by rows, in nats; their sum over the count of rows that are not ignored is the mean. */
  readonly losses: Buffer;
  /**
   * Runs the tape backward from `scale` · Σ losses; for a mean, scale is 1 / count.
   * @throws QloraError when called again: what it needs is used up.
   */
  backward(scale: number): void;
}

/**
 * Cross entropy of logits [M, V] against target ids [M] (i32; IGNORE_INDEX leaves a row out, whose loss is 0). Its backward
 * overwrites the logits with their gradient. For a large vocabulary, whose logits need not be there all at once, see
 * {@link linearCrossEntropy}.
 */
export function crossEntropy(tape: Tape, logits: Variable, targets: Buffer): Loss {
  const { backend } = tape;
  const { losses, logSumExp } = backend.crossEntropy(logits.value, targets);
  return {
    losses,
    backward: once((scale) => {
      backend.crossEntropyBackwardInto(logits.value, targets, logSumExp, scale);
      tape.backward(logits, logits.value);
    }),
  };
}

/** A backward that refuses to run twice. */
export function once(backward: (scale: number) => void): (scale: number) => void {
  let done = false;
  return (scale) => {
    if (done)
      throw new QloraError({ what: 'backward of a loss was called twice', fix: 'compute the loss again' });
    done = true;
    backward(scale);
  };
}
