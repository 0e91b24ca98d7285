// Every backward against central differences, on the reference backend in f64: with a step of 1e-5 the differences
// are good to about 1e-9 of the values, so a wrong factor or a missing term cannot hide.
import { type Buffer, createReferenceBackend, IGNORE_INDEX } from '@qlora/backend';
import { quantizeTensor } from '@qlora/quant-strategies';
import { random, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import {
  add,
  addBias,
  addInto,
  attention,
  checkpoint,
  crossEntropy,
  dropout,
  embedding,
  linear,
  linearCrossEntropy,
  quantizedLinear,
  rmsNorm,
  rope,
  scale,
  swiglu,
  Tape,
  type Variable,
} from './index';

const backend = createReferenceBackend({ precision: 'f64' });
const rng = random(1);
const normals = (...shape: number[]) => ({
  shape,
  data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
});

/** Compares the tape's gradients of Σ output ∘ weights with differences, for every element of every input. */
function expectGradients(
  inputs: { shape: number[]; data: Float64Array }[],
  operation: (tape: Tape, inputs: Variable[]) => Variable,
) {
  let weights: Float64Array | undefined;
  const run = (data: Float64Array[], gradients: boolean) => {
    const variables = data.map((values, i) => ({
      value: backend.uploadExact(values, inputs[i]!.shape),
      requiresGrad: gradients,
    }));
    const tape = new Tape(backend, { training: true, seed: 3 });
    const output = operation(tape, variables);
    const values = backend.readExact(output.value);
    weights ??= Float64Array.from(values, () => rng.normal());
    const total = values.reduce((sum, value, i) => sum + value * weights![i]!, 0);
    if (!gradients) return { total, gradients: [] };
    tape.backward(output, backend.uploadExact(weights, output.value.shape));
    return { total, gradients: variables.map((v) => backend.readExact(tape.gradientOf(v) as Buffer)) };
  };
  const base = inputs.map((input) => input.data);
  const analytic = run(base, true).gradients;
  const step = 1e-5;
  base.forEach((values, which) => {
    values.forEach((value, i) => {
      const at = (shifted: number) => {
        const data = base.map((array) => array.slice());
        data[which]![i] = shifted;
        return run(data, false).total;
      };
      const difference = (at(value + step) - at(value - step)) / (2 * step);
      const gradient = analytic[which]![i]!;
      expect(Math.abs(gradient - difference)).toBeLessThan(1e-7 * (1 + Math.abs(difference)));
    });
  });
}

describe('the gradient of each operation equals its central differences', () => {
  it('add, with a factor on the second term', () => {
    expectGradients([normals(3, 4), normals(3, 4)], (t, [a, b]) => add(t, a!, b!, -1.7));
  });
  it('addInto, over what was made for it', () => {
    expectGradients([normals(3, 4), normals(3, 4)], (t, [a, b]) => addInto(t, scale(t, a!, 2), b!, -1.7));
  });
  it('a variable that is used twice gets both gradients', () => {
    expectGradients([normals(3, 4)], (t, [x]) => add(t, scale(t, x!, 2), swiglu(t, x!, x!)));
  });
  it('scale', () => expectGradients([normals(2, 3)], (t, [x]) => scale(t, x!, 0.3)));
  it('addBias', () => expectGradients([normals(5, 3), normals(3)], (t, [x, b]) => addBias(t, x!, b!)));
  it('dropout, whose mask is the same in both directions', () => {
    expectGradients([normals(6, 5)], (t, [x]) => dropout(t, x!, 0.4));
  });
  it('swiglu', () => expectGradients([normals(3, 5), normals(3, 5)], (t, [g, u]) => swiglu(t, g!, u!)));
  it('linear, on odd shapes', () => {
    expectGradients([normals(5, 7), normals(6, 7)], (t, [x, w]) => linear(t, x!, w!));
  });
  it('quantizedLinear, through a 4-bit weight whose blocks run over row ends', () => {
    const { shape, data } = normals(6, 43);
    const weight = backend.uploadQuantized(quantizeTensor(tensor('f32', shape, Float32Array.from(data))));
    expectGradients([normals(3, 43)], (t, [x]) => quantizedLinear(t, x!, weight));
  });
  it('rmsNorm', () => {
    expectGradients([normals(4, 6), normals(6)], (t, [x, w]) => rmsNorm(t, x!, w!, 1e-5));
  });
  it('rope, at an offset, over two sequences', () => {
    const angles = Float64Array.from({ length: 9 * 2 }, (_, i) => 0.37 * i);
    const cos = backend.uploadExact(angles.map(Math.cos), [9, 2]);
    const sin = backend.uploadExact(angles.map(Math.sin), [9, 2]);
    const shape = { heads: 3, headDim: 4, sequenceLength: 3, offset: 5 };
    expectGradients([normals(6, 12)], (t, [x]) => rope(t, x!, cos, sin, shape));
  });
  it('embedding, with an id that comes twice', () => {
    const ids = backend.upload(Int32Array.of(3, 0, 3, 1), [4]);
    expectGradients([normals(5, 3)], (t, [table]) => embedding(t, table!, ids));
  });
  it('attention with grouped heads over a batch', () => {
    const shape = { batch: 2, queryLength: 4, keyLength: 4, heads: 4, keyHeads: 2, headDim: 3, scale: 0.6 };
    expectGradients([normals(8, 12), normals(8, 6), normals(8, 6)], (t, [q, k, v]) =>
      attention(t, q!, k!, v!, shape),
    );
  });
  it('attention of the last rows against a longer past', () => {
    const shape = { batch: 1, queryLength: 2, keyLength: 5, heads: 2, keyHeads: 1, headDim: 3, scale: 0.6 };
    expectGradients([normals(2, 6), normals(5, 3), normals(5, 3)], (t, [q, k, v]) =>
      attention(t, q!, k!, v!, shape),
    );
  });
  it('crossEntropy, with an ignored row', () => {
    const { shape, data } = normals(3, 5);
    const targets = backend.upload(Int32Array.of(4, IGNORE_INDEX, 0), [3]);
    const lossOf = (values: Float64Array) => {
      const tape = new Tape(backend);
      const logits = { value: backend.uploadExact(values, shape), requiresGrad: true };
      const loss = crossEntropy(tape, logits, targets);
      loss.backward(0.25);
      const total = backend.readExact(loss.losses).reduce((a, b) => a + b, 0) * 0.25;
      return { total, gradient: backend.readExact(tape.gradientOf(logits) as Buffer) };
    };
    const { gradient } = lossOf(data);
    data.forEach((value, i) => {
      const at = (shifted: number) =>
        lossOf(Float64Array.from(data, (x, j) => (j === i ? shifted : x))).total;
      expect(gradient[i]).toBeCloseTo((at(value + 1e-5) - at(value - 1e-5)) / 2e-5, 8);
    });
    expect([...gradient.slice(5, 10)]).toEqual([0, 0, 0, 0, 0]);
  });
  it('linearCrossEntropy, in chunks, with ignored rows', () => {
    const hidden = normals(7, 3);
    const weight = normals(5, 3);
    const targets = Int32Array.of(4, IGNORE_INDEX, 0, 2, IGNORE_INDEX, 2, 1);
    const lossOf = (values: Float64Array[]) => {
      const tape = new Tape(backend);
      const [x, w] = [hidden, weight].map(({ shape }, i) => ({
        value: backend.uploadExact(values[i]!, shape),
        requiresGrad: true,
      }));
      const loss = linearCrossEntropy(tape, scale(tape, x!, 2), w!, targets, { chunkRows: 2 });
      loss.backward(0.25);
      const total = backend.readExact(loss.losses).reduce((a, b) => a + b, 0) * 0.25;
      return { total, gradients: [x!, w!].map((v) => backend.readExact(tape.gradientOf(v) as Buffer)) };
    };
    const base = [hidden.data, weight.data];
    const { gradients } = lossOf(base);
    base.forEach((values, which) => {
      values.forEach((value, i) => {
        const at = (shifted: number) => {
          const changed = base.map((array) => array.slice());
          changed[which]![i] = shifted;
          return lossOf(changed).total;
        };
        const difference = (at(value + 1e-5) - at(value - 1e-5)) / 2e-5;
        expect(gradients[which]![i]).toBeCloseTo(difference, 8);
      });
    });
  });
  it('checkpoint, with dropout inside', () => {
    expectGradients([normals(4, 5), normals(4, 5), normals(5, 5)], (t, [a, b, w]) =>
      checkpoint(t, [a!, b!, w!], (inner, [x, y, weight]) =>
        add(inner, swiglu(inner, dropout(inner, linear(inner, x, weight), 0.3), y), x),
      ),
    );
  });
  it('computations that are drawn at random, in which gradients meet in every way', () => {
    for (let seed = 0; seed < 30; seed++) {
      expectGradients([normals(3, 3), normals(3, 3)], (t, inputs) => randomComputation(t, inputs, seed));
    }
  });
});

/** Ten operations on whatever there is so far, then the sum of all that nothing else has used. */
function randomComputation(tape: Tape, inputs: readonly Variable[], seed: number): Variable {
  const draw = random(seed);
  const made = [...inputs];
  const used = new Set<Variable>();
  const pick = () => {
    const chosen = made[draw.integer(made.length)]!;
    used.add(chosen);
    return chosen;
  };
  const small = (x: Variable) => scale(tape, x, 0.5);
  const operations: ((x: Variable) => Variable)[] = [
    (x) => add(tape, x, pick()),
    (x) => add(tape, x, pick(), -0.7),
    (x) => add(tape, x, x),
    (x) => addInto(tape, small(x), pick(), 0.3),
    (x) => small(linear(tape, x, pick())),
    (x) => small(linear(tape, x, x)),
    (x) => swiglu(tape, x, pick()),
    (x) => checkpoint(tape, [x, pick()], (t, [a, b]) => add(t, a, scale(t, b, 0.9))),
  ];
  for (let i = 0; i < 10; i++) made.push(operations[draw.integer(operations.length)]!(pick()));
  return made.filter((variable) => !used.has(variable)).reduce((sum, variable) => add(tape, sum, variable));
}

describe('a tape', () => {
  it('computes no gradient for what needs none', () => {
    const tape = new Tape(backend);
    const x = { value: backend.uploadExact(normals(2, 3).data, [2, 3]), requiresGrad: true };
    const frozen = tape.constant(backend.uploadExact(normals(4, 3).data, [4, 3]));
    const y = linear(tape, x, frozen);
    tape.backward(y, backend.uploadExact(normals(2, 4).data, [2, 4]));
    expect(tape.gradientOf(x)).toBeDefined();
    expect(tape.gradientOf(frozen)).toBeUndefined();
  });

  it('that does not record leaves dropout out and refuses to run backward', () => {
    const tape = new Tape(backend, { record: false });
    const x = { value: backend.uploadExact(normals(2, 3).data, [2, 3]), requiresGrad: true };
    expect(dropout(tape, x, 0.5)).toBe(x);
    expect(() => tape.backward(x, x.value)).toThrow(/does not record/);
  });
});
