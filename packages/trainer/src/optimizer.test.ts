// AdamW against the algorithm as Loshchilov and Hutter (2019) write it, in f64.
import { Parameter } from '@qlora/autograd';
import { createBackend } from '@qlora/backend';
import { random } from '@qlora/tensor';
import { afterAll, expect, it } from 'vitest';
import { AdamW, type AdamWOptions } from './index';

const backend = createBackend();
afterAll(() => backend.dispose());
const start = [0.5, -1.5, 2, 0];
const make = (options: AdamWOptions = {}, values = start) => {
  const parameter = new Parameter('p', backend.upload(Float32Array.from(values), [values.length]));
  return { parameter, optimizer: new AdamW(backend, [parameter], options) };
};
const setGradient = (parameter: Parameter, values: readonly number[]) => {
  if (!parameter.gradient) throw new Error('no gradient buffer');
  backend.write(parameter.gradient, Float32Array.from(values));
};
const valuesOf = async (parameter: Parameter) => [...(await backend.read(parameter.value))];

/** Algorithm 2 of the paper, line by line; the schedule multiplier times alpha is the learning rate. */
const paper = (
  gradients: number[][],
  rates: number[],
  decay: number,
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-8,
) => {
  const theta = [...start];
  const m = start.map(() => 0);
  const v = start.map(() => 0);
  gradients.forEach((gradient, index) => {
    const t = index + 1;
    const rate = rates[index] ?? 0;
    gradient.forEach((g, i) => {
      m[i] = beta1 * (m[i] ?? 0) + (1 - beta1) * g;
      v[i] = beta2 * (v[i] ?? 0) + (1 - beta2) * g ** 2;
      const mHat = (m[i] ?? 0) / (1 - beta1 ** t);
      const vHat = (v[i] ?? 0) / (1 - beta2 ** t);
      theta[i] = (theta[i] ?? 0) - rate * (mHat / (Math.sqrt(vHat) + epsilon) + decay * (theta[i] ?? 0));
    });
  });
  return theta;
};

const rng = random(4);
const gradients = Array.from({ length: 5 }, () => start.map(() => rng.normal()));
const rates = [0.1, 0.2, 0.05, 0.1, 0.3];

it.each([[{}], [{ weightDecay: 0.1 }], [{ weightDecay: 0.01, beta1: 0.8, beta2: 0.95, epsilon: 1e-3 }]])(
  'five steps with %j are those of the paper, to 1e-6',
  async (options) => {
    const { parameter, optimizer } = make(options);
    gradients.forEach((gradient, i) => {
      setGradient(parameter, gradient);
      optimizer.step(rates[i] ?? 0);
    });
    const { weightDecay = 0, beta1, beta2, epsilon } = options as AdamWOptions;
    const expected = paper(gradients, rates, weightDecay, beta1, beta2, epsilon);
    (await valuesOf(parameter)).forEach((value, i) => {
      expect(Math.abs(value - (expected[i] ?? 0))).toBeLessThan(1e-6);
    });
    expect(optimizer.steps).toBe(5);
  },
);

it('weight decay is decoupled: without a gradient it shrinks by 1 − rate · decay, and the moments stay 0', async () => {
  const { parameter, optimizer } = make({ weightDecay: 0.5 });
  for (let i = 0; i < 2; i++) optimizer.step(0.1);
  (await valuesOf(parameter)).forEach((value, i) => {
    expect(value).toBeCloseTo((start[i] ?? 0) * 0.95 ** 2, 6);
  });
  // As L2 in the gradient it would have moved by the whole rate: the first step of Adam has length 1.
});

it('the first step moves each value by the rate against the sign of its gradient, however large', async () => {
  const { parameter, optimizer } = make();
  setGradient(parameter, [1e-3, -5, 1e4, 0]);
  optimizer.step(0.1);
  const moved = (await valuesOf(parameter)).map((value, i) => value - (start[i] ?? 0));
  [-0.1, 0.1, -0.1, 0].forEach((expected, i) => {
    expect(moved[i]).toBeCloseTo(expected, 4);
  });
});

it('a gradient scale is as if the gradients had been scaled', async () => {
  const one = make();
  const two = make();
  for (const gradient of gradients) {
    setGradient(one.parameter, gradient);
    one.optimizer.step(0.1, 0.25);
    setGradient(
      two.parameter,
      gradient.map((g) => g * 0.25),
    );
    two.optimizer.step(0.1);
  }
  const expected = await valuesOf(two.parameter);
  (await valuesOf(one.parameter)).forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i] ?? 0, 5);
  });
});

it('the gradient norm goes over all parameters, and a step clears the gradients', async () => {
  const a = new Parameter('a', backend.upload(new Float32Array(2), [2]));
  const b = new Parameter('b', backend.upload(new Float32Array(1), [1]));
  const optimizer = new AdamW(backend, [a, b]);
  setGradient(a, [3, 0]);
  setGradient(b, [-4]);
  expect(await optimizer.gradientNorm()).toBeCloseTo(5, 6);
  optimizer.step(0.1);
  expect(await optimizer.gradientNorm()).toBe(0);
});

it('gives back what it took', () => {
  const parameter = new Parameter('p', backend.upload(new Float32Array(4), [4]));
  const before = backend.memory().current;
  const optimizer = new AdamW(backend, [parameter]);
  expect(backend.memory().current).toBe(before + 3 * 16);
  optimizer.free();
  expect(backend.memory().current).toBe(before);
});
