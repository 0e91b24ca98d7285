// Who frees which gradient, and who may write to it: memory after and during a backward pass, and buffers that several
// variables share.
import { type Buffer, createReferenceBackend, type ReferenceBackend } from '@qlora/backend';
import { random } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import {
  add,
  addInto,
  linear,
  Parameter,
  prepareGradients,
  rmsNorm,
  scale,
  swiglu,
  Tape,
  type Variable,
} from './index';

const BYTES = 4 * 8 * 8;
const rng = random(4);
const matrix = (backend: ReferenceBackend): Buffer =>
  backend.upload(
    Float32Array.from({ length: 64 }, () => rng.normal()),
    [8, 8],
  );
const input = (backend: ReferenceBackend): Variable => ({ value: matrix(backend), requiresGrad: true });

/** What a backward pass adds to the memory in use, at its end and at most. */
function backwardMemory(operation: (tape: Tape, x: Variable) => Variable): { kept: number; most: number } {
  const backend = createReferenceBackend();
  const tape = new Tape(backend);
  const output = operation(tape, input(backend));
  const dOutput = matrix(backend);
  const before = backend.memory().current;
  // The peak is that of the backend's life: raise it to what is in use now, so that what comes on top shows.
  while (backend.memory().peak > backend.memory().current) backend.zeros([1]);
  const raised = backend.memory().current;
  tape.backward(output, dOutput);
  const { current, peak } = backend.memory();
  expect(before % 4).toBe(0);
  return { kept: current - raised, most: peak - raised };
}

describe('after a backward pass', () => {
  it('only the gradients of inputs are left', () => {
    const chain = (tape: Tape, x: Variable) => {
      let y = x;
      for (let i = 0; i < 6; i++) y = swiglu(tape, scale(tape, y, 0.5), y);
      return y;
    };
    expect(backwardMemory(chain).kept).toBe(BYTES);
  });
  it('nothing is left of gradients that nobody wants', () => {
    const frozenBranch = (tape: Tape, x: Variable) => {
      const frozen = tape.constant(tape.backend.scale(x.value, 2));
      return swiglu(tape, x, frozen);
    };
    expect(backwardMemory(frozenBranch).kept).toBe(BYTES);
  });
  it('the gradient that it began with is as it was', async () => {
    const backend = createReferenceBackend();
    const tape = new Tape(backend);
    const x = input(backend);
    const dOutput = matrix(backend);
    const given = await backend.read(dOutput);
    // Each passes the gradient on, and adds to it elsewhere.
    tape.backward(addInto(tape, scale(tape, x, 1), add(tape, x, x)), dOutput);
    expect(await backend.read(dOutput)).toEqual(given);
    expect(await backend.read(tape.gradientOf(x) as Buffer)).toEqual(given.map((g) => Math.fround(3 * g)));
  });
  it('the gradient that it was given as its own is gone', () => {
    const backend = createReferenceBackend();
    const tape = new Tape(backend);
    const x = input(backend);
    const dOutput = matrix(backend);
    tape.backward(swiglu(tape, x, x), dOutput, { owned: true });
    expect(() => backend.scale(dOutput, 1)).toThrow(/after it was freed/);
  });
});

describe('during a backward pass', () => {
  it('a chain holds two gradients at a time, however long it is', () => {
    const chain = (length: number) => (tape: Tape, x: Variable) => {
      let y = x;
      for (let i = 0; i < length; i++) y = scale(tape, y, 0.5);
      return y;
    };
    expect(backwardMemory(chain(3)).most).toBe(2 * BYTES);
    expect(backwardMemory(chain(20)).most).toBe(2 * BYTES);
  });
  it('a residual stream holds one gradient beside those of its branch', () => {
    const stream = (length: number) => (tape: Tape, x: Variable) => {
      let y = x;
      for (let i = 0; i < length; i++) y = addInto(tape, scale(tape, y, 0.5), y);
      return y;
    };
    expect(backwardMemory(stream(20)).most).toBe(backwardMemory(stream(2)).most);
  });
  it("a parameter's gradient is computed where it is kept", async () => {
    const backend = createReferenceBackend();
    const weight = new Parameter('w', matrix(backend));
    prepareGradients(backend, [weight]);
    const x = backend.upload(new Float32Array(8).fill(1), [1, 8]);
    const run = () => {
      const tape = new Tape(backend);
      const y = linear(tape, tape.constant(x), weight);
      const before = backend.memory();
      tape.backward(y, y.value);
      expect(backend.memory()).toEqual(before);
      return y.value;
    };
    const y = await backend.read(run());
    run();
    const gradient = await backend.read(weight.gradient as Buffer);
    expect([...gradient.subarray(8, 10)]).toEqual([y[1], y[1]].map((value) => Math.fround(2 * value!)));
  });
});

describe('a gradient that several hold', () => {
  it('is not written to when one of them gets more', async () => {
    const backend = createReferenceBackend();
    const tape = new Tape(backend);
    const [a, b] = [input(backend), input(backend)];
    const sum = add(tape, a, b); // both hold the gradient of the sum
    const more = scale(tape, a, 10); // recorded later, so its gradient comes first
    tape.backward(add(tape, sum, more), backend.upload(new Float32Array(64).fill(1), [8, 8]));
    const at = async (variable: Variable) => (await backend.read(tape.gradientOf(variable) as Buffer))[0];
    expect([await at(a), await at(b)]).toEqual([11, 1]);
  });
  it('is not written to when the more comes last', async () => {
    const backend = createReferenceBackend();
    const tape = new Tape(backend);
    const [a, b] = [input(backend), input(backend)];
    const more = scale(tape, a, 10);
    tape.backward(add(tape, add(tape, a, b), more), backend.upload(new Float32Array(64).fill(1), [8, 8]));
    const at = async (variable: Variable) => (await backend.read(tape.gradientOf(variable) as Buffer))[0];
    expect([await at(a), await at(b)]).toEqual([11, 1]);
  });
});

it('a parameter without a gradient buffer is refused by name', () => {
  const backend = createReferenceBackend();
  const norm = new Parameter('norm.weight', backend.upload(new Float32Array(8).fill(1), [8]));
  const weight = new Parameter('proj.weight', matrix(backend));
  const x = { value: matrix(backend), requiresGrad: false };
  for (const [name, operation] of [
    ['norm.weight', (tape: Tape) => rmsNorm(tape, x, norm, 1e-5)],
    ['proj.weight', (tape: Tape) => linear(tape, x, weight)],
  ] as const) {
    const tape = new Tape(backend);
    const y = operation(tape);
    expect(() => tape.backward(y, y.value)).toThrow(
      `parameter "${name}" has no gradient buffer. Call prepareGradients`,
    );
  }
});
