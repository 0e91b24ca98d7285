// The reference backend: its memory, its checks, and forward results against formulas written out. Backward operations
// are held to finite differences in `@qlora/autograd`.
import { QloraError } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { createReferenceBackend, IGNORE_INDEX } from '../index';

const backend = createReferenceBackend();
const matrix = (rows: number, columns: number, f = (i: number) => i) =>
  backend.upload(
    Float32Array.from({ length: rows * columns }, (_, i) => f(i)),
    [rows, columns],
  );

describe('memory', () => {
  it('of a scope is freed at its end, but for what is kept', async () => {
    const own = createReferenceBackend();
    const before = own.memory().current;
    const kept = await own.scope((keep) => {
      own.zeros([1000]);
      return keep(own.zeros([10]));
    });
    expect(own.memory().current - before).toBe(40);
    expect(own.memory().peak - before).toBe(4040);
    own.free(kept);
    expect(own.memory().current).toBe(before);
  });
  it('that was freed cannot be used', async () => {
    const freed = await backend.scope(() => backend.zeros([2, 2]));
    expect(() => backend.matmul(freed, freed)).toThrow(/used after it was freed/);
  });
  it('of a scope that fails is freed too', async () => {
    const own = createReferenceBackend();
    await expect(
      own.scope(() => {
        own.zeros([5]);
        throw new Error('stop');
      }),
    ).rejects.toThrow('stop');
    expect(own.memory().current).toBe(0);
  });
  it('of another backend is refused', () => {
    expect(() => backend.scale({ shape: [1], type: 'f32' }, 2)).toThrow(/another backend/);
  });
});

describe('matmul', () => {
  const reference = (a: number[][], b: number[][]) =>
    a.map((row) => b[0]?.map((_, n) => row.reduce((sum, x, k) => sum + x * (b[k]?.[n] ?? 0), 0)));
  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('in all transpositions: a %s, b %s', async (transposeA, transposeB) => {
    const [m, k, n] = [3, 5, 7];
    const a = Array.from({ length: m }, (_, i) => Array.from({ length: k }, (_, j) => i * 2 - j));
    const b = Array.from({ length: k }, (_, i) => Array.from({ length: n }, (_, j) => i - j * 3));
    const put = (rows: number[][], transposed: boolean) => {
      const given = transposed ? (rows[0]?.map((_, j) => rows.map((row) => row[j] ?? 0)) ?? []) : rows;
      return backend.upload(Float32Array.from(given.flat()), [given.length, given[0]?.length ?? 0]);
    };
    const y = await backend.read(
      backend.matmul(put(a, transposeA), put(b, transposeB), { transposeA, transposeB }),
    );
    expect([...y]).toEqual(reference(a, b).flat());
  });
  it('takes empty matrices', async () => {
    expect((await backend.read(backend.matmul(matrix(0, 3), matrix(3, 2)))).length).toBe(0);
    expect([...(await backend.read(backend.matmul(matrix(1, 0), matrix(0, 2))))]).toEqual([0, 0]);
  });
});

describe('attention', () => {
  it('of the first row is the first value; of equal keys the mean of what is visible', async () => {
    const shape = { batch: 1, queryLength: 3, keyLength: 3, heads: 2, keyHeads: 1, headDim: 2, scale: 1 };
    const q = matrix(3, 4);
    const k = matrix(3, 2, () => 1);
    const v = matrix(3, 2, (i) => i * i);
    const { out } = backend.attention(q, k, v, shape);
    expect([...(await backend.read(out))]).toEqual(
      [0, 1, 0, 1, 2, 5, 2, 5, (0 + 4 + 16) / 3, (1 + 9 + 25) / 3, (0 + 4 + 16) / 3, (1 + 9 + 25) / 3].map(
        Math.fround,
      ),
    );
  });
});

it('cross entropy is the negative log likelihood, and ignores what it is told to', async () => {
  const targets = backend.upload(Int32Array.of(1, IGNORE_INDEX), [2]);
  const { losses } = backend.crossEntropy(
    backend.upload(Float32Array.of(0, Math.log(3), 5, 5), [2, 2]),
    targets,
  );
  const [first, second] = await backend.read(losses);
  expect(first).toBeCloseTo(-Math.log(3 / 4), 6);
  expect(second).toBe(0);
});

it('AdamW takes the step of its paper', async () => {
  const at = (value: number) => backend.upload(Float32Array.of(value), [1]);
  const [p, g, m, v] = [at(1), at(0.5), at(0), at(0)];
  const constants = {
    learningRate: 0.1,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    gradientScale: 1,
  };
  backend.adamw(p, g, m, v, { ...constants, step: 1 });
  // The first step is the learning rate in the direction of the sign, after decay by 1 − 0.1 · 0.01.
  expect((await backend.read(p))[0]).toBeCloseTo(0.999 - 0.1, 6);
  backend.adamw(p, at(-0.5), m, v, { ...constants, step: 2 });
  const first = (0.9 * 0.05 + 0.1 * -0.5) / (1 - 0.81);
  const second = (0.999 * 0.00025 + 0.001 * 0.25) / (1 - 0.999 ** 2);
  expect((await backend.read(p))[0]).toBeCloseTo(0.899 * 0.999 - (0.1 * first) / Math.sqrt(second), 5);
});

describe('wrong shapes are refused with the operation and the shapes', () => {
  it.each([
    ['matmul', () => backend.matmul(matrix(2, 3), matrix(2, 3))],
    ['add', () => backend.add(matrix(2, 3), matrix(3, 2))],
    ['rmsNorm', () => backend.rmsNorm(matrix(2, 3), backend.zeros([2]), 1e-5)],
    ['embedding', () => backend.embedding(matrix(2, 3), backend.upload(Int32Array.of(2), [1]))],
    ['crossEntropy', () => backend.crossEntropy(matrix(1, 3), backend.upload(Int32Array.of(3), [1]))],
    ['writeRows', () => backend.writeRows(matrix(2, 3), matrix(2, 3), 1)],
    ['dropout', () => backend.dropout(matrix(1, 1), 1, 0)],
    [
      'rope',
      () =>
        backend.rope(matrix(4, 4), matrix(2, 1), matrix(2, 1), {
          heads: 2,
          headDim: 2,
          sequenceLength: 4,
          offset: 0,
        }),
    ],
    [
      'attention',
      () =>
        backend.attention(matrix(2, 6), matrix(2, 4), matrix(2, 4), {
          batch: 1,
          queryLength: 2,
          keyLength: 2,
          heads: 3,
          keyHeads: 2,
          headDim: 2,
          scale: 1,
        }),
    ],
    ['upload', () => backend.upload(new Float32Array(3), [2, 2])],
  ])('%s', (operation, body) => {
    expect(body).toThrow(QloraError);
    expect(body).toThrow(new RegExp(`^${operation}: `));
  });
});
