// The chunked loss is that of all logits at once, for the memory of a chunk. Its gradients are held to differences beside
// those of the operations.
import { type Buffer, createReferenceBackend, IGNORE_INDEX } from '@qlora/backend';
import { random } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { crossEntropy, linear, linearCrossEntropy, Parameter, prepareGradients, scale, Tape } from './index';

const ROWS = 11;
const WIDTH = 6;
const VOCABULARY = 50;
const rng = random(8);
const normals = (count: number) => Float32Array.from({ length: count }, () => rng.normal());
const hidden = normals(ROWS * WIDTH);
const weights = normals(VOCABULARY * WIDTH);
const targets = Int32Array.from({ length: ROWS }, () => rng.integer(VOCABULARY));
const masked = targets.map((target, row) => (row < 4 || row === 7 ? IGNORE_INDEX : target));

/** Sum of the losses, and the gradients of hidden states and weight for the mean. */
async function run(ids: Int32Array, options?: { chunkRows?: number }) {
  const backend = createReferenceBackend();
  const weight = new Parameter('output', backend.upload(weights, [VOCABULARY, WIDTH]));
  prepareGradients(backend, [weight]);
  const x = { value: backend.upload(hidden, [ROWS, WIDTH]), requiresGrad: true };
  const tape = new Tape(backend);
  const states = scale(tape, x, 1.5);
  const loss = options
    ? linearCrossEntropy(tape, states, weight, ids, options)
    : crossEntropy(tape, linear(tape, states, weight), backend.upload(ids, [ROWS]));
  loss.backward(1 / ids.filter((id) => id !== IGNORE_INDEX).length);
  const read = (buffer?: Buffer) => backend.read(buffer ?? backend.zeros([0]));
  const losses = await read(loss.losses);
  return {
    losses,
    total: losses.reduce((a, b) => a + b, 0),
    dHidden: await read(tape.gradientOf(x)),
    dWeight: await read(weight.gradient),
    peak: backend.memory().peak,
  };
}
const expectNear = (found: Float32Array, expected: Float32Array) => {
  expect(found.length).toBe(expected.length);
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6);
  });
};

describe('linearCrossEntropy', () => {
  it.each([
    ['a row', 1],
    ['three rows', 3],
    ['all rows', 11],
    ['more rows than there are', 1000],
    ['as many rows as by default', undefined],
  ])('in chunks of %s is the cross entropy of all logits', async (_, chunkRows) => {
    for (const ids of [targets, masked]) {
      const whole = await run(ids);
      const chunked = await run(ids, chunkRows === undefined ? {} : { chunkRows });
      expect(chunked.total).toBeCloseTo(whole.total, 5);
      expectNear(chunked.dHidden, whole.dHidden);
      expectNear(chunked.dWeight, whole.dWeight);
    }
  });
  it('has the losses of the rows that count, in their order', async () => {
    const whole = await run(masked);
    const chunked = await run(masked, { chunkRows: 2 });
    expectNear(
      chunked.losses,
      whole.losses.filter((_, row) => masked[row] !== IGNORE_INDEX),
    );
  });
  it('holds the logits of one chunk', async () => {
    const backend = createReferenceBackend();
    const weight = { value: backend.upload(weights, [VOCABULARY, WIDTH]), requiresGrad: false };
    const x = { value: backend.upload(hidden, [ROWS, WIDTH]), requiresGrad: true };
    const before = backend.memory().current;
    const loss = linearCrossEntropy(new Tape(backend), x, weight, targets, { chunkRows: 2 });
    const kept = 4 * (ROWS + ROWS + ROWS * WIDTH); // losses, targets, gradient
    expect(backend.memory().current - before).toBe(kept);
    expect(backend.memory().peak - before).toBe(kept + 4 * (2 * VOCABULARY + 2 * 2));
    expect(loss.losses.shape).toEqual([ROWS]);
  });
  it('computes no gradients on a tape that does not record', () => {
    const backend = createReferenceBackend();
    const weight = new Parameter('output', backend.upload(weights, [VOCABULARY, WIDTH]));
    const x = { value: backend.upload(hidden, [ROWS, WIDTH]), requiresGrad: true };
    const before = backend.memory().current;
    const loss = linearCrossEntropy(new Tape(backend, { record: false }), x, weight, masked);
    // Losses, targets and row numbers of six rows, and the rows.
    expect(backend.memory().current - before).toBe(4 * 6 * (3 + WIDTH));
    expect(() => loss.backward(1)).toThrow(/does not record/);
  });
  it('of rows that all are ignored is nothing', async () => {
    const none = await run(new Int32Array(ROWS).fill(IGNORE_INDEX), {});
    expect([none.losses, none.dHidden]).toEqual([new Float32Array(0), new Float32Array(0)]);
    expect(none.dWeight.every((g) => g === 0)).toBe(true);
  });
});

describe('a loss', () => {
  it('refuses what does not fit', () => {
    const backend = createReferenceBackend();
    const weight = { value: backend.upload(weights, [VOCABULARY, WIDTH]), requiresGrad: false };
    const x = { value: backend.upload(hidden, [ROWS, WIDTH]), requiresGrad: true };
    const loss = (ids: Int32Array, chunkRows = 2) =>
      linearCrossEntropy(new Tape(backend), x, weight, ids, { chunkRows });
    expect(() => loss(targets.slice(1))).toThrow(
      /linearCrossEntropy: there are 10 targets for 11 rows\. Give one a row/,
    );
    expect(() => loss(targets, 0)).toThrow(/chunkRows is 0\. Use a whole number/);
    expect(() => loss(targets.map((id, row) => (row === 3 ? VOCABULARY : id)))).toThrow(
      /target 50 is outside the vocabulary of 50/,
    );
  });
  it('refuses to be sent backward twice', () => {
    const backend = createReferenceBackend();
    const weight = { value: backend.upload(weights, [VOCABULARY, WIDTH]), requiresGrad: false };
    const tape = new Tape(backend);
    const x = { value: backend.upload(hidden, [ROWS, WIDTH]), requiresGrad: true };
    const chunked = linearCrossEntropy(tape, x, weight, targets);
    const whole = crossEntropy(tape, linear(tape, x, weight), backend.upload(targets, [ROWS]));
    for (const loss of [chunked, whole]) {
      loss.backward(1);
      expect(() => loss.backward(1)).toThrow(/backward of a loss was called twice/);
    }
  });
});
