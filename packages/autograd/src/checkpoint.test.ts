// Checkpointing: the same bytes as without, for the memory of one block. That its gradients are right is shown beside those
// of the operations.
import { type Buffer, createReferenceBackend } from '@qlora/backend';
import { random } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import {
  add,
  addInto,
  checkpoint,
  dropout,
  linear,
  Parameter,
  prepareGradients,
  rmsNorm,
  scale,
  swiglu,
  Tape,
  type Variable,
} from './index';

const WIDTH = 16;
const ROWS = 5;
const backend = createReferenceBackend();
const rng = random(11);
const normals = (...shape: number[]) =>
  backend.upload(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal() / 4),
    shape,
  );
const weights = Array.from({ length: 3 }, (_, i) => new Parameter(`w${i}`, normals(WIDTH, WIDTH)));
const norm = { value: normals(WIDTH), requiresGrad: false };
const x = normals(ROWS, WIDTH);
const dOutput = normals(ROWS, WIDTH);

/** A residual block, with dropout. */
const block = (tape: Tape, input: Variable, weight: Parameter): Variable => {
  const inner = linear(tape, dropout(tape, rmsNorm(tape, input, norm, 1e-5), 0.3), weight);
  return addInto(tape, linear(tape, swiglu(tape, inner, inner), weight), input);
};
type Block = typeof block;
const checkpointed: Block = (tape, input, weight) =>
  checkpoint(tape, [input], (inner, [y]) => block(inner, y, weight));
const plain: Block = block;

/** Gradients of zeros, of the scope around. */
function freshGradients() {
  for (const weight of weights) weight.gradient = undefined;
  prepareGradients(backend, weights);
}

/** Output and gradients of three blocks. */
async function run(body: Block, { requiresGrad = true, seed = 5 } = {}) {
  return backend.scope(async () => {
    freshGradients();
    const tape = new Tape(backend, { seed });
    const input = { value: x, requiresGrad };
    const output = weights.reduce<Variable>((y, weight) => body(tape, y, weight), input);
    const after = dropout(tape, output, 0.5);
    tape.backward(after, dOutput);
    const gradients: Float32Array[] = [];
    for (const { gradient } of weights) gradients.push(await backend.read(gradient as Buffer));
    const dInput = tape.gradientOf(input);
    return {
      output: await backend.read(after.value),
      gradients,
      dInput: dInput && (await backend.read(dInput)),
    };
  });
}

describe('checkpointing', () => {
  it('gives the same bytes as without, dropout included, in what comes after it too', async () => {
    expect(await run(checkpointed)).toEqual(await run(plain));
    expect((await run(checkpointed, { seed: 6 })).output).not.toEqual((await run(plain)).output);
  });
  it('reaches parameters inside where no input needs a gradient', async () => {
    const result = await run(checkpointed, { requiresGrad: false });
    expect(result.dInput).toBeUndefined();
    expect(result.gradients.every((gradient) => gradient.some((g) => g !== 0))).toBe(true);
    expect(result).toEqual(await run(plain, { requiresGrad: false }));
  });
  it('nests', async () => {
    const twice: Block = (tape, input, weight) =>
      checkpoint(tape, [input], (inner, [y]) => checkpointed(inner, y, weight));
    expect(await run(twice)).toEqual(await run(plain));
  });
  it('records nothing where nothing needs a gradient', () => {
    const tape = new Tape(backend);
    const output = checkpoint(tape, [tape.constant(x)], (inner, [y]) => scale(inner, y, 2));
    expect(output.requiresGrad).toBe(false);
  });
  it('hands on one gradient for two inputs', async () => {
    const tape = new Tape(backend);
    const [a, b] = [
      { value: x, requiresGrad: true },
      { value: x, requiresGrad: true },
    ];
    // Both sums are there already, so that the gradient that both share would be freed after the first.
    const before = add(tape, scale(tape, a, 2), scale(tape, b, 3));
    const both = checkpoint(tape, [a, b], (inner, [y, z]) => scale(inner, add(inner, y, z), 5));
    const after = add(tape, scale(tape, a, 20), scale(tape, b, 30));
    tape.backward(
      add(tape, add(tape, before, both), after),
      backend.upload(new Float32Array(80).fill(1), [ROWS, WIDTH]),
    );
    const at = async (variable: Variable) => (await backend.read(tape.gradientOf(variable) as Buffer))[0];
    expect([await at(a), await at(b)]).toEqual([27, 38]);
  });
});

describe('the memory of checkpointing', () => {
  const bytes = 4 * ROWS * WIDTH;
  it('is the output alone, after the forward pass', async () => {
    const used = (body: Block) =>
      backend.scope(() => {
        const before = backend.memory().current;
        body(new Tape(backend), { value: x, requiresGrad: true }, weights[0] as Parameter);
        return backend.memory().current - before;
      });
    expect(await used(checkpointed)).toBe(bytes);
    expect(await used(plain)).toBeGreaterThan(4 * bytes);
  });
  it('after the backward pass is the gradient of the input besides', async () => {
    await backend.scope(() => {
      freshGradients();
      const tape = new Tape(backend);
      const before = backend.memory().current;
      tape.backward(checkpointed(tape, { value: x, requiresGrad: true }, weights[0] as Parameter), dOutput);
      expect(backend.memory().current - before).toBe(2 * bytes);
    });
  });
  it('is tidied on a tape that does not record, whose results are the same', async () => {
    await backend.scope(async () => {
      const before = backend.memory().current;
      const tape = new Tape(backend, { record: false });
      const input = tape.constant(x);
      const output = checkpointed(tape, input, weights[0] as Parameter);
      expect(backend.memory().current - before).toBe(bytes);
      expect(output.requiresGrad).toBe(false);
      const expected = plain(tape, input, weights[0] as Parameter);
      expect(await backend.read(output.value)).toEqual(await backend.read(expected.value));
    });
  });
});
