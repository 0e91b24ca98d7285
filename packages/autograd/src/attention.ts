// Causal attention on the tape.
import type { AttentionShape } from '@qlora/backend';
import type { Tape } from './tape';
import type { Variable } from './variable';

/** Causal softmax attention with grouped heads over rows of queries, keys and values. */
export function attention(
  tape: Tape,
  q: Variable,
  k: Variable,
  v: Variable,
  shape: AttentionShape,
): Variable {
  const { backend } = tape;
  const { out, logSumExp } = backend.attention(q.value, k.value, v.value, shape);
  return tape.record(out, [q, k, v], (dOut) => {
    const gradients = backend.attentionBackward(dOut, q.value, k.value, v.value, out, logSumExp, shape);
    tape.accumulate(q, gradients.dQ);
    tape.accumulate(k, gradients.dK);
    tape.accumulate(v, gradients.dV);
  });
}
