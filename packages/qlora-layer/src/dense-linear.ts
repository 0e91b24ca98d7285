// A linear layer with a dense f32 weight.
import { linear, Parameter, type Tape, type Variable } from '@qlora/autograd';
import type { Backend } from '@qlora/backend';
import type { LinearInfo } from '@qlora/peft';
import { Linear } from './linear';

/** A linear layer whose weight is a variable [out, in]: frozen, or a parameter when the whole model is trained. */
export class DenseLinear extends Linear {
  readonly bytes: number;
  readonly quantization = undefined;
  readonly #backend: Backend;
  readonly #weight: Variable;

  constructor(backend: Backend, info: LinearInfo, weight: Variable, bias?: Variable) {
    super(info, bias);
    this.#backend = backend;
    this.#weight = weight;
    this.bytes = info.inFeatures * info.outFeatures * 4;
  }

  protected override weightParameters(): Parameter[] {
    return this.#weight instanceof Parameter ? [this.#weight] : [];
  }

  protected product(tape: Tape, x: Variable): Variable {
    return linear(tape, x, this.#weight);
  }

  weight(): Promise<Float32Array> {
    return this.#backend.read(this.#weight.value);
  }
}
