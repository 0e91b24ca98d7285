// LoRA as one operation of the tape: output + scaling · (dropout(x)·Aᵀ)·Bᵀ. Made of single operations it would hold the
// adapter's output and the sum beside the layer's own output, and the dropped input, each as large as the layer's
// activations. Here the product is added into the layer's output, the backward adds into the gradients that are there, and
// the dropped input is made again when it is needed. What is kept for the backward is x·Aᵀ, of rank columns.
import type { Parameter, Tape, Variable } from '@qlora/autograd';
import type { Buffer } from '@qlora/backend';

/** The factors of an adapter. */
export interface LoraFactors {
  /** [rank, in]. */
  readonly a: Parameter;
  /** [out, rank]. */
  readonly b: Parameter;
  readonly scaling: number;
  /** Probability of dropout on the input while training. */
  readonly dropout: number;
}

/**
 * The adapted output, written over `output`.
 * @param x [M, in].
 * @param output the layer's own output [M, out], whose content nothing else needs.
 */
export function loraForward(tape: Tape, x: Variable, output: Variable, factors: LoraFactors): Variable {
  const { backend } = tape;
  const { a, b, scaling, dropout: p } = factors;
  const seed = p > 0 && tape.training ? tape.nextSeed() : undefined;
  /** Hands the input that the adapter sees to `use`. */
  const withInput = <T>(use: (input: Buffer) => T): T => {
    if (seed === undefined) return use(x.value);
    const dropped = backend.dropout(x.value, p, seed);
    const result = use(dropped);
    backend.free(dropped);
    return result;
  };

  const h = withInput((input) => backend.matmul(input, a.value, { transposeB: true }));
  backend.matmulInto(output.value, h, b.value, { transposeB: true, scale: scaling });
  if (!tape.recording) backend.free(h);

  return tape.record(output.value, [x, output, a, b], (dy) => {
    tape.accumulateProduct(b, dy, h, { transposeA: true, scale: scaling });
    const dH = backend.zeros(h.shape);
    backend.matmulInto(dH, dy, b.value, { scale: scaling });
    withInput((input) => tape.accumulateProduct(a, dH, input, { transposeA: true }));
    if (seed === undefined) {
      tape.accumulateProduct(x, dH, a.value);
    } else if (x.requiresGrad) {
      const dDropped = backend.matmul(dH, a.value);
      tape.accumulate(x, backend.dropout(dDropped, p, seed));
      backend.free(dDropped);
    }
    backend.free(dH);
    backend.free(h);
    tape.accumulate(output, dy);
  });
}
