// Products on the tape.
import type { QuantizedBuffer } from '@qlora/backend';
import type { Tape } from './tape';
import type { Variable } from './variable';

/**
 * x · Wᵀ for a dense weight: [M, in] by [out, in] gives [M, out]. A weight that needs no gradient gets none computed.
 */
export function linear(tape: Tape, x: Variable, weight: Variable): Variable {
  const { backend } = tape;
  const value = backend.matmul(x.value, weight.value, { transposeB: true });
  return tape.record(value, [x, weight], (dy) => {
    tape.accumulateProduct(x, dy, weight.value);
    tape.accumulateProduct(weight, dy, x.value, { transposeA: true });
  });
}

/** x · Wᵀ for a frozen 4-bit weight. The gradient goes through the weight to x; the weight itself never has one. */
export function quantizedLinear(tape: Tape, x: Variable, weight: QuantizedBuffer): Variable {
  const { backend } = tape;
  return tape.record(backend.quantizedMatmul(x.value, weight), [x], (dy) => {
    tape.accumulate(x, backend.quantizedMatmulBackward(dy, weight));
  });
}
