// AdamW over parameters on a backend, with the global norm of their gradients.
import { type Parameter, prepareGradients } from '@qlora/autograd';
import type { Backend, Buffer } from '@qlora/backend';

/** Constants of AdamW; PyTorch's defaults but for the weight decay, which is off as QLoRA has it. */
export interface AdamWOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
}

/** AdamW's state: two moments a parameter, on the backend. Make it outside of any scope. */
export class AdamW {
  /** Steps taken. */
  steps = 0;
  readonly #backend: Backend;
  readonly #parameters: readonly Parameter[];
  readonly #moments: readonly { readonly m: Buffer; readonly v: Buffer }[];
  readonly #options: Required<AdamWOptions>;

  constructor(backend: Backend, parameters: readonly Parameter[], options: AdamWOptions = {}) {
    this.#backend = backend;
    this.#parameters = parameters;
    this.#options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, ...options };
    prepareGradients(backend, parameters);
    this.#moments = parameters.map(({ value }) => ({
      m: backend.zeros(value.shape),
      v: backend.zeros(value.shape),
    }));
  }

  /** √Σ g² over all parameters. */
  async gradientNorm(): Promise<number> {
    const backend = this.#backend;
    const gradients = this.#parameters.flatMap(({ gradient }) => (gradient ? [gradient] : []));
    const [squares = 0] = await backend.scope(() => backend.read(backend.sumSquares(gradients)));
    return Math.sqrt(squares);
  }

  /**
   * One step, after which the gradients are zero again.
   * @param gradientScale what gradients are multiplied by first (clipping).
   */
  step(learningRate: number, gradientScale = 1): void {
    this.steps++;
    this.#parameters.forEach((parameter, i) => {
      const moments = this.#moments[i];
      if (!parameter.gradient || !moments) return;
      this.#backend.adamw(parameter.value, parameter.gradient, moments.m, moments.v, {
        ...this.#options,
        learningRate,
        step: this.steps,
        gradientScale,
      });
      parameter.clear(this.#backend);
    });
  }

  /** Frees moments and gradients. */
  free(): void {
    for (const { m, v } of this.#moments) {
      this.#backend.free(m);
      this.#backend.free(v);
    }
    for (const parameter of this.#parameters) {
      if (parameter.gradient) this.#backend.free(parameter.gradient);
      parameter.gradient = undefined;
    }
  }
}
