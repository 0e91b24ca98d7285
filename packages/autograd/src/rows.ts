// Operations by rows on the tape: normalization, rotation, look-up.
import type { Buffer, RopeShape } from '@qlora/backend';
import type { Tape } from './tape';
import type { Variable } from './variable';

/** Root mean square normalization of the rows of x [M, D] with weight [D]. */
export function rmsNorm(tape: Tape, x: Variable, weight: Variable, epsilon: number): Variable {
  const { backend } = tape;
  const { y, inverse } = backend.rmsNorm(x.value, weight.value, epsilon);
  return tape.record(y, [x, weight], (dy) => {
    if (x.requiresGrad) tape.accumulate(x, backend.rmsNormBackward(dy, x.value, weight.value, inverse));
    if (weight.requiresGrad) tape.accumulate(weight, backend.rmsNormWeightBackward(dy, x.value, inverse));
  });
}

/** Rotary embedding of every head; the tables `cos` and `sin` are constants [positions, headDim/2]. */
export function rope(tape: Tape, x: Variable, cos: Buffer, sin: Buffer, shape: RopeShape): Variable {
  const { backend } = tape;
  return tape.record(backend.rope(x.value, cos, sin, shape), [x], (dy) => {
    tape.accumulate(x, backend.rope(dy, cos, sin, shape, true));
  });
}

/** Rows of `table` [V, D] by token ids [M] (i32). */
export function embedding(tape: Tape, table: Variable, ids: Buffer): Variable {
  const { backend } = tape;
  return tape.record(backend.embedding(table.value, ids), [table], (dy) => {
    tape.accumulate(table, backend.embeddingBackward(dy, ids, table.value.shape[0] ?? 0));
  });
}
