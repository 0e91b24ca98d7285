// LoRA as one operation: what single operations compute, gradients against central differences in f64, and the memory that
// it is there to spare.
import {
  add,
  dropout,
  linear,
  Parameter,
  prepareGradients,
  scale,
  Tape,
  type Variable,
} from '@qlora/autograd';
import { type Buffer, createReferenceBackend } from '@qlora/backend';
import { random } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { loraForward } from './lora-forward';

const ROWS = 4;
const IN = 5;
const OUT = 6;
const RANK = 2;
const SHAPES = { x: [ROWS, IN], output: [ROWS, OUT], a: [RANK, IN], b: [OUT, RANK] } as const;
type Name = keyof typeof SHAPES;
type Values = Record<Name, Float64Array>;

const rng = random(21);
const normals = (count: number) => Float64Array.from({ length: count }, () => rng.normal());
const start = Object.fromEntries(
  Object.entries(SHAPES).map(([name, [rows, columns]]) => [name, normals(rows * columns)]),
) as Values;
const weights = normals(ROWS * OUT);
const backend = createReferenceBackend({ precision: 'f64' });

/** LoRA of single operations. */
const composed: typeof loraForward = (tape, x, output, { a, b, scaling, dropout: p }) =>
  add(tape, output, linear(tape, linear(tape, dropout(tape, x, p), a), b), scaling);

/** A weighted sum of the result, its numbers, and its gradients. Adapted twice, the input gets two gradients. */
function run(values: Values, options: { p: number; twice?: boolean }, forward = loraForward) {
  const put = (name: Name) => backend.uploadExact(values[name], [...SHAPES[name]]);
  const tape = new Tape(backend, { seed: 9 });
  const x: Variable = { value: put('x'), requiresGrad: true };
  const base: Variable = { value: put('output'), requiresGrad: true };
  const factors = { a: new Parameter('a', put('a')), b: new Parameter('b', put('b')) };
  prepareGradients(backend, [factors.a, factors.b]);
  const adapt = (output: Variable) =>
    forward(tape, x, output, { ...factors, scaling: 1.5, dropout: options.p });
  const once = adapt(scale(tape, base, 1));
  const result = options.twice ? adapt(once) : once;
  const numbers = backend.readExact(result.value);
  tape.backward(result, backend.uploadExact(weights, [ROWS, OUT]));
  const gradientOf = (variable: Variable) => backend.readExact(tape.gradientOf(variable) as Buffer);
  return {
    total: numbers.reduce((sum, value, i) => sum + value * weights[i]!, 0),
    numbers,
    gradients: {
      x: gradientOf(x),
      output: gradientOf(base),
      a: gradientOf(factors.a),
      b: gradientOf(factors.b),
    } satisfies Values,
  };
}

describe.each([
  ['plain', { p: 0 }],
  ['with dropout', { p: 0.4 }],
  ['on an input that has a gradient already', { p: 0, twice: true }],
  ['with dropout on an input that has a gradient already', { p: 0.4, twice: true }],
])('LoRA %s', (_, options) => {
  it('computes what single operations compute', () => {
    const found = run(start, options);
    const expected = run(start, options, composed);
    found.numbers.forEach((value, i) => {
      expect(value).toBeCloseTo(expected.numbers[i]!, 12);
    });
  });
  it.each(Object.keys(SHAPES) as Name[])('has the gradient of its central differences: %s', (name) => {
    const { gradients } = run(start, options);
    const step = 1e-5;
    start[name].forEach((value, i) => {
      const at = (shifted: number) =>
        run({ ...start, [name]: start[name].map((old, j) => (j === i ? shifted : old)) }, options).total;
      const difference = (at(value + step) - at(value - step)) / (2 * step);
      expect(Math.abs(gradients[name][i]! - difference)).toBeLessThan(1e-7 * (1 + Math.abs(difference)));
    });
  });
});

describe('the memory of LoRA', () => {
  const f32 = createReferenceBackend();
  const put = (rows: number, columns: number) =>
    f32.upload(Float32Array.from(normals(rows * columns)), [rows, columns]);
  const [a, b] = [new Parameter('a', put(RANK, IN)), new Parameter('b', put(OUT, RANK))];
  prepareGradients(f32, [a, b]);
  const adapt = (tape: Tape, p: number) =>
    loraForward(tape, tape.constant(put(ROWS, IN)), tape.constant(put(ROWS, OUT)), {
      a,
      b,
      scaling: 2,
      dropout: p,
    });
  const inputs = 4 * ROWS * (IN + OUT);

  it.each([0, 0.5])('is rank columns a row when it records, with dropout of %d', (p) => {
    const before = f32.memory().current;
    const tape = new Tape(f32);
    const output = adapt(tape, p);
    expect(f32.memory().current - before).toBe(inputs + 4 * ROWS * RANK);
    const dOutput = put(ROWS, OUT);
    tape.backward(output, dOutput, { owned: true });
    expect(f32.memory().current - before).toBe(inputs);
  });
  it('is nothing when it does not', () => {
    const before = f32.memory().current;
    adapt(new Tape(f32, { record: false }), 0.5);
    expect(f32.memory().current - before).toBe(inputs);
  });
});
