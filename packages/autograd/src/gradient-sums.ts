// The gradients of one backward pass. Gradients are as large as activations, so each is freed once nothing is to come of
// it, and a sum is written into a buffer that is there already. That needs to be known: who holds which buffer. An
// operation may pass its own gradient on (a sum gives it to both terms), so that several variables hold one buffer; such a
// buffer is never written to. Buffers that are lent, like the gradient that a pass starts from, are held by their lender
// to the end.
import type { Backend, Buffer } from '@qlora/backend';
import { gradientBuffer, Parameter, type Variable } from './variable';

/** Factors of a product and how they are to be read. */
export interface Product {
  readonly a: Buffer;
  readonly b: Buffer;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** Sums of gradients by variable, and how often each buffer is held. */
export class GradientSums {
  readonly #backend: Backend;
  readonly #sums = new Map<Variable, Buffer>();
  readonly #holders = new Map<Buffer, number>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** The sum so far. */
  get(variable: Variable): Buffer | undefined {
    return this.#sums.get(variable);
  }

  /** Takes the sum out; whoever takes it holds it until {@link release}. */
  take(variable: Variable): Buffer | undefined {
    const sum = this.#sums.get(variable);
    this.#sums.delete(variable);
    return sum;
  }

  /** Holds a buffer. */
  hold(buffer: Buffer): void {
    this.#holders.set(buffer, (this.#holders.get(buffer) ?? 0) + 1);
  }

  /** Lets a buffer go, which is freed if nobody else holds it. */
  release(buffer: Buffer): void {
    const others = (this.#holders.get(buffer) ?? 0) - 1;
    if (others > 0) this.#holders.set(buffer, others);
    else {
      this.#holders.delete(buffer);
      this.#backend.free(buffer);
    }
  }

  /** Adds scale · gradient. The gradient is fresh, and then belongs to the sums, or is held by somebody. */
  add(variable: Variable, gradient: Buffer, scale: number): void {
    if (variable.requiresGrad) this.#add(variable, gradient, scale);
    if (!this.#holders.has(gradient)) this.#backend.free(gradient);
  }

  /** Adds scale · op(a) · op(b), into the sum itself where that is possible. */
  addProduct(variable: Variable, { a, b, ...options }: Product, scale: number): void {
    if (!variable.requiresGrad) return;
    const target = this.#writable(variable);
    if (target) this.#backend.matmulInto(target, a, b, { ...options, scale });
    else this.add(variable, this.#backend.matmul(a, b, options), scale);
  }

  #add(variable: Variable, gradient: Buffer, scale: number): void {
    const backend = this.#backend;
    const target = this.#writable(variable);
    if (target) {
      backend.addInto(target, gradient, scale);
      return;
    }
    const sum = this.#sums.get(variable);
    if (sum === undefined) {
      this.#set(variable, scale === 1 ? gradient : backend.scale(gradient, scale));
    } else if (scale === 1 && !this.#holders.has(gradient)) {
      // The sum is shared, but the addend is nobody's yet: it becomes the sum.
      backend.addInto(gradient, sum);
      this.#set(variable, gradient);
    } else {
      this.#set(variable, backend.add(sum, gradient, scale));
    }
  }

  /** Where gradients of the variable can be added in place: a parameter's buffer, or a sum that nobody else holds. */
  #writable(variable: Variable): Buffer | undefined {
    if (variable instanceof Parameter) return gradientBuffer(variable);
    const sum = this.#sums.get(variable);
    return sum && this.#holders.get(sum) === 1 ? sum : undefined;
  }

  #set(variable: Variable, sum: Buffer): void {
    const before = this.take(variable);
    this.#sums.set(variable, sum);
    this.hold(sum);
    if (before) this.release(before);
  }
}
