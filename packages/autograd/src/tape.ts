// The tape: what was computed, in order, so that gradients can flow back. A variable that needs no gradient records
// nothing, so a frozen base costs no memory here, and generation runs through the same code with recording off.
import type { Backend, Buffer } from '@qlora/backend';
import { QloraError } from '@qlora/tensor';
import { GradientSums } from './gradient-sums';
import { Parameter, type Variable } from './variable';

interface Entry {
  readonly output: Variable;
  readonly backward: (dOutput: Buffer) => void;
}

/** Options of a {@link Tape}. */
export interface TapeOptions {
  /** Record for a backward pass. Default true. */
  readonly record?: boolean;
  /**
   * Say of each result whether it needs a gradient. Default: the value of `record`. Without recording it serves
   * {@link checkpoint}, whose results need gradients though what led to them is not recorded.
   */
  readonly track?: boolean;
  /** Training mode: dropout is active. Default: the value of `record`. */
  readonly training?: boolean;
  /** Seed of this pass's dropout masks. Default 0. */
  readonly seed?: number;
}

/** Options of {@link Tape.accumulateProduct}. */
export interface ProductOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** What the product is multiplied by. Default 1. */
  readonly scale?: number;
}

/** Records operations over a backend and runs them backward, once. */
export class Tape {
  readonly backend: Backend;
  readonly recording: boolean;
  readonly training: boolean;
  /** What {@link nextSeed} goes on from: tapes with the same one draw the same seeds. */
  seed: number;
  readonly #tracking: boolean;
  readonly #entries: Entry[] = [];
  readonly #gradients: GradientSums;

  constructor(backend: Backend, options: TapeOptions = {}) {
    this.backend = backend;
    this.recording = options.record ?? true;
    this.training = options.training ?? this.recording;
    this.seed = options.seed ?? 0;
    this.#tracking = options.track ?? this.recording;
    this.#gradients = new GradientSums(backend);
  }

  /** @throws QloraError if there is nothing to run backward. */
  requireRecording(): void {
    if (!this.recording) throw new QloraError({ what: 'backward on a tape that does not record' });
  }

  /** A buffer that needs no gradient. */
  constant(value: Buffer): Variable {
    return { value, requiresGrad: false };
  }

  /** A seed of its own for the next random operation of this pass. */
  nextSeed(): number {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    return this.seed;
  }

  /**
   * The result of an operation on `inputs`. `backward` is called at most once, with the gradient of `value`, and only
   * if an input requires one; it hands its results to {@link accumulate}. The gradient that it is called with must not be
   * written to, and is freed after it if nobody was given it.
   */
  record(value: Buffer, inputs: readonly Variable[], backward: (dOutput: Buffer) => void): Variable {
    const requiresGrad = this.#tracking && inputs.some((input) => input.requiresGrad);
    const output: Variable = { value, requiresGrad };
    if (requiresGrad && this.recording) this.#entries.push({ output, backward });
    return output;
  }

  /**
   * Adds `scale` (1 by default) times `gradient` to the gradient of a variable.
   *
   * @param gradient a buffer that was made for this, which belongs to the tape from here on (it writes to it and frees
   * it), or the gradient that the backward was called with.
   */
  accumulate(variable: Variable, gradient: Buffer, scale = 1): void {
    this.#gradients.add(variable, gradient, scale);
  }

  /** Adds op(a) · op(b) to the gradient of a variable that requires one, in place where that is possible. */
  accumulateProduct(variable: Variable, a: Buffer, b: Buffer, options: ProductOptions = {}): void {
    const { scale = 1, ...transpositions } = options;
    this.#gradients.addProduct(variable, { a, b, ...transpositions }, scale);
  }

  /**
   * Gradient of a variable after {@link backward} has run: of a parameter, or of a variable that no operation of this tape
   * made. Those of results in between are gone.
   */
  gradientOf(variable: Variable): Buffer | undefined {
    return variable instanceof Parameter ? variable.gradient : this.#gradients.get(variable);
  }

  /**
   * Runs the tape backward from `output`, whose gradient is `dOutput`. The tape is empty afterwards.
   *
   * @param options.owned give `dOutput` to the tape, which frees it as soon as it can. Default false: it stays as it is.
   */
  backward(output: Variable, dOutput: Buffer, options: { readonly owned?: boolean } = {}): void {
    this.requireRecording();
    if (!options.owned) this.#gradients.hold(dOutput);
    this.#gradients.add(output, dOutput, 1);
    for (let entry = this.#entries.pop(); entry; entry = this.#entries.pop()) {
      const gradient = this.#gradients.take(entry.output);
      if (!gradient) continue;
      entry.backward(gradient);
      this.#gradients.release(gradient);
    }
  }
}
