// Gradient checkpointing (Chen et al. 2016): a part of the computation, a block of a model, keeps its output alone, and is
// computed again when the backward pass comes to it. Memory is then that of the outputs and of one block, for one forward
// pass more. The second pass draws the same dropout as the first, and computes the same bytes.
import type { Buffer } from '@qlora/backend';
import { Tape } from './tape';
import { Parameter, type Variable } from './variable';

/**
 * The output of `body`, whose temporary buffers are gone when this returns. On a tape that records, the backward pass runs
 * `body` again; on one that does not, this only tidies up after it.
 *
 * @param inputs what `body` takes from outside that may need a gradient. Parameters need not be among them.
 * @param body computes its output on the tape that it is given, from the inputs that it is given, which it must not write
 * to. It must do the same whenever it is called, so what it uses besides must live on unchanged.
 * @example
 * const y = checkpoint(tape, [x], (inner, [x]) => linear(inner, rmsNorm(inner, x, norm, 1e-5), weight));
 */
export function checkpoint<const I extends readonly Variable[]>(
  tape: Tape,
  inputs: I,
  body: (tape: Tape, inputs: I) => Variable,
): Variable {
  const { backend, training, seed } = tape;
  const run = (on: Tape): Variable =>
    backend.tidy((keep) => {
      const output = body(on, inputs);
      keep(output.value);
      return output;
    });
  if (!tape.recording) return run(tape);

  const first = new Tape(backend, { record: false, track: true, training, seed });
  const output = run(first);
  tape.seed = first.seed;
  return tape.record(output.value, [output], (dOutput) => {
    const gradients = backend.tidy((keep) => {
      const again = new Tape(backend, { training, seed });
      const own = inputs.map(standIn);
      again.backward(body(again, own as unknown as I), dOutput);
      const taken = new Set<Buffer>();
      return own.map((variable) => {
        const gradient = variable instanceof Parameter ? undefined : again.gradientOf(variable);
        // One buffer may be the gradient of two inputs, but can be given away once.
        const given = gradient && taken.has(gradient) ? backend.scale(gradient, 1) : gradient;
        if (given) taken.add(given);
        return given && keep(given);
      });
    });
    // After tidying up: what the sums allocate is to stay.
    gradients.forEach((gradient, i) => {
      if (gradient) tape.accumulate(inputs[i] as Variable, gradient);
    });
  });
}

/** The input as the inner tape sees it: a variable of its own, that ends there. Parameters collect gradients as they are. */
function standIn(input: Variable): Variable {
  return input instanceof Parameter ? input : { value: input.value, requiresGrad: input.requiresGrad };
}
