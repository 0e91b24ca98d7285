// How well a model predicts a text.
import { Tape } from '@qlora/autograd';
import type { LlamaModel } from '@qlora/models';
import { makeBatch } from './batch';
import type { Example } from './dataset';

/** Result of {@link evaluate}. */
export interface Evaluation {
  /** Mean negative log likelihood per predicted token, in nats. */
  readonly crossEntropy: number;
  /** e to the cross entropy. */
  readonly perplexity: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
}

/**
 * Mean cross entropy over examples, adapters included, dropout off.
 * @param onExample called after each, with its number and how many there are.
 */
export async function evaluate(
  model: LlamaModel,
  examples: readonly Example[],
  onExample?: (done: number, total: number) => void,
): Promise<Evaluation> {
  const { backend } = model;
  let total = 0;
  let tokens = 0;
  for (const [index, example] of examples.entries()) {
    const batch = makeBatch([example]);
    const losses = await backend.scope(() => {
      const tape = new Tape(backend, { record: false });
      const rows = [batch.input.length];
      const hidden = model.hidden(tape, backend.upload(batch.input, rows), batch);
      return backend.read(model.loss(tape, hidden, batch.target).losses);
    });
    for (const loss of losses) total += loss;
    tokens += batch.tokens;
    onExample?.(index + 1, examples.length);
  }
  const mean = total / tokens;
  return { crossEntropy: mean, perplexity: Math.exp(mean), tokens };
}
