// What takes part in a computation: variables, and parameters, which outlive tapes.
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

/** Gives every parameter a gradient buffer of zeros. Call outside of any scope, since gradients outlive steps. */
export function prepareGradients(backend: Backend, parameters: readonly Parameter[]): void {
  for (const parameter of parameters) parameter.gradient ??= backend.zeros(parameter.value.shape);
}

/** The buffer that a parameter's gradients are added to. @throws QloraError if it has none yet. */
export function gradientBuffer(parameter: Parameter): Buffer {
  if (parameter.gradient) return parameter.gradient;
  throw new QloraError({
    what: `parameter "${parameter.name}" has no gradient buffer`,
    fix: 'call prepareGradients(backend, parameters) before the first step',
  });
}
