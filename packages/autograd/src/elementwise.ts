// Elementwise operations on the tape.
import type { Tape } from './tape';
import type { Variable } from './variable';

/** a + scale · b, of one shape. */
export function add(tape: Tape, a: Variable, b: Variable, scale = 1): Variable {
  const { backend } = tape;
  return tape.record(backend.add(a.value, b.value, scale), [a, b], (dy) => {
    tape.accumulate(a, dy);
    tape.accumulate(b, dy, scale);
  });
}

/**
 * target + scale · x, written over the target: one buffer less than {@link add}. For a target whose content nothing else
 * needs, not even the backward of the operation that made it, as is so for the output of a linear layer.
 */
export function addInto(tape: Tape, target: Variable, x: Variable, scale = 1): Variable {
  tape.backend.addInto(target.value, x.value, scale);
  return tape.record(target.value, [target, x], (dy) => {
    tape.accumulate(target, dy);
    tape.accumulate(x, dy, scale);
  });
}

/** x times a constant. */
export function scale(tape: Tape, x: Variable, factor: number): Variable {
  const { backend } = tape;
  return tape.record(backend.scale(x.value, factor), [x], (dy) => {
    tape.accumulate(x, dy, factor);
  });
}

/** x [M, N] plus bias [N] on every row. */
export function addBias(tape: Tape, x: Variable, bias: Variable): Variable {
  const { backend } = tape;
  return tape.record(backend.addBias(x.value, bias.value), [x, bias], (dy) => {
    tape.accumulate(x, dy);
    if (bias.requiresGrad) tape.accumulate(bias, backend.sumRows(dy));
  });
}

/** Dropout with probability p while training, the identity otherwise. The mask is made again for the backward. */
export function dropout(tape: Tape, x: Variable, p: number): Variable {
  if (p === 0 || !tape.training) return x;
  const { backend } = tape;
  const seed = tape.nextSeed();
  return tape.record(backend.dropout(x.value, p, seed), [x], (dy) => {
    tape.accumulate(x, backend.dropout(dy, p, seed));
  });
}

/** silu(gate) · up. */
export function swiglu(tape: Tape, gate: Variable, up: Variable): Variable {
  const { backend } = tape;
  return tape.record(backend.swiglu(gate.value, up.value), [gate, up], (dy) => {
    const { dGate, dUp } = backend.swigluBackward(dy, gate.value, up.value);
    tape.accumulate(gate, dGate);
    tape.accumulate(up, dUp);
  });
}
