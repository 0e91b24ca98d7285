// The tape: what was computed, in order, so that gradients can flow back. A variable that needs no gradient records
// nothing, so a frozen base costs no memory here, and generation runs through the same code with recording off.
import type { Backend, Buffer } from '@qlora/backend';
import { QloraError } from '@qlora/tensor';

/** A buffer in a computation. */
export interface Variable {
  readonly value: Buffer;
  /** Whether a gradient is wanted here or further up. */
  readonly requiresGrad: boolean;
}

/** A trainable buffer that outlives tapes. Its gradient adds up over backward passes until it is cleared. */
export class Parameter implements Variable {
  readonly requiresGrad = true;
  /** Sum of the gradients since {@link clear}; undefined before the first backward pass. */
  gradient: Buffer | undefined;
  readonly name: string;
  readonly value: Buffer;

  constructor(name: string, value: Buffer) {
    this.name = name;
    this.value = value;
  }

  /** Sets the gradient to zero, keeping its memory. */
  clear(backend: Backend): void {
    if (this.gradient) backend.fill(this.gradient, 0);
  }
}

interface Entry {
  readonly output: Variable;
  readonly backward: (dOutput: Buffer) => void;
}

/** Options of a {@link Tape}. */
export interface TapeOptions {
  /** Record for a backward pass. Default true. */
  readonly record?: boolean;
  /** Training mode: dropout is active. Default: the value of `record`. */
  readonly training?: boolean;
  /** Seed of this pass's dropout masks. Default 0. */
  readonly seed?: number;
}

/** Records operations over a backend and runs them backward, once. */
export class Tape {
  readonly backend: Backend;
  readonly recording: boolean;
  readonly training: boolean;
  #entries: Entry[] = [];
  #gradients = new Map<Variable, Buffer>();
  #seed: number;

  constructor(backend: Backend, options: TapeOptions = {}) {
    this.backend = backend;
    this.recording = options.record ?? true;
    this.training = options.training ?? this.recording;
    this.#seed = options.seed ?? 0;
  }

  /** A buffer that needs no gradient. */
  constant(value: Buffer): Variable {
    return { value, requiresGrad: false };
  }

  /** A seed of its own for the next random operation of this pass. */
  nextSeed(): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
    return this.#seed;
  }

  /**
   * The result of an operation on `inputs`. `backward` is called at most once, with the gradient of `value`, and only
   * if an input requires one; it hands its results to {@link accumulate}.
   */
  record(value: Buffer, inputs: readonly Variable[], backward: (dOutput: Buffer) => void): Variable {
    const requiresGrad = this.recording && inputs.some((input) => input.requiresGrad);
    const output: Variable = { value, requiresGrad };
    if (requiresGrad) this.#entries.push({ output, backward });
    return output;
  }

  /** Adds to the gradient of a variable. `gradient` must not be written to afterwards by the caller. */
  accumulate(variable: Variable, gradient: Buffer): void {
    if (!variable.requiresGrad) return;
    if (variable instanceof Parameter) {
      if (!variable.gradient) {
        throw new QloraError({
          what: `parameter "${variable.name}" has no gradient buffer`,
          fix: 'call prepareGradients(backend, parameters) before the first step',
        });
      }
      this.backend.addInto(variable.gradient, gradient);
      return;
    }
    const sum = this.#gradients.get(variable);
    this.#gradients.set(variable, sum ? this.backend.add(sum, gradient) : gradient);
  }

  /** Gradient of a variable after {@link backward} has run, for tests and for inputs that are no parameters. */
  gradientOf(variable: Variable): Buffer | undefined {
    return variable instanceof Parameter ? variable.gradient : this.#gradients.get(variable);
  }

  /** Runs the tape backward from `output`, whose gradient is `dOutput`. The tape is empty afterwards. */
  backward(output: Variable, dOutput: Buffer): void {
    if (!this.recording) throw new QloraError({ what: 'backward on a tape that does not record' });
    this.accumulate(output, dOutput);
    for (let entry = this.#entries.pop(); entry; entry = this.#entries.pop()) {
      const gradient = this.#gradients.get(entry.output);
      if (!gradient) continue;
      entry.backward(gradient);
      this.#gradients.delete(entry.output);
    }
  }
}

/** Gives every parameter a gradient buffer of zeros. Call outside of any scope, since gradients outlive steps. */
export function prepareGradients(backend: Backend, parameters: readonly Parameter[]): void {
  for (const parameter of parameters) parameter.gradient ??= backend.zeros(parameter.value.shape);
}
