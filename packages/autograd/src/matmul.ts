// Products on the tape.
import type { QuantizedBuffer } from '@qlora/backend';
import type { Tape, Variable } from './tape';

/**
 * x · Wᵀ for a dense weight: [M, in] by [out, in] gives [M, out]. A weight that needs no gradient gets none computed.
 */
export function linear(tape: Tape, x: Variable, weight: Variable): Variable {
  const { backend } = tape;
  const value = backend.matmul(x.value, weight.value, { transposeB: true });
  return tape.record(value, [x, weight], (dy) => {
    if (x.requiresGrad) tape.accumulate(x, backend.matmul(dy, weight.value));
    if (weight.requiresGrad) tape.accumulate(weight, backend.matmul(dy, x.value, { transposeA: true }));
  });
}

/** x · Wᵀ for a frozen 4-bit weight. The gradient goes through the weight to x; the weight itself never has one. */
export function quantizedLinear(tape: Tape, x: Variable, weight: QuantizedBuffer): Variable {
  const { backend } = tape;
  return tape.record(backend.quantizedMatmul(x.value, weight), [x], (dy) => {
    tape.accumulate(x, backend.quantizedMatmulBackward(dy, weight));
  });
}
