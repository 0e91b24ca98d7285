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
  it('of the wrong type is refused', () => {
    const ids = backend.upload(Int32Array.of(1), [1]);
    expect(() => backend.scale(ids, 2)).toThrow(/an i32 buffer was given where f32 is needed/);
    expect(() => backend.embedding(matrix(2, 2), matrix(1, 1))).toThrow(/an f32 buffer .* where i32/);
  });
  it('of a tidy is freed at its end, what is kept belongs to the scope around it', async () => {
    const own = createReferenceBackend();
    await own.scope(() => {
      const kept = own.tidy((keep) => {
        own.zeros([1000]);
        return keep(own.zeros([10]));
      });
      expect(own.memory()).toEqual({ current: 40, peak: 4040 });
      expect(() => own.scale(kept, 2)).not.toThrow();
    });
    expect(own.memory().current).toBe(0);
  });
  it('of a tidy that fails is freed too', () => {
    const own = createReferenceBackend();
    const fail = () =>
      own.tidy(() => {
        own.zeros([5]);
        throw new Error('stop');
      });
    expect(fail).toThrow('stop');
    expect(own.memory().current).toBe(0);
  });
});

describe('a slice', () => {
  it('is rows of a matrix, or elements of a vector, and a slice of a slice too', async () => {
    const rows = backend.slice(matrix(5, 3), 1, 3);
    expect(rows.shape).toEqual([3, 3]);
    expect([...(await backend.read(rows))]).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect([...(await backend.read(backend.slice(rows, 2, 1)))]).toEqual([9, 10, 11]);
    const ids = backend.slice(backend.upload(Int32Array.of(2, 0, 1), [3]), 0, 2);
    expect(ids).toMatchObject({ shape: [2], type: 'i32' });
    expect([...(await backend.read(backend.embedding(matrix(3, 1), ids)))]).toEqual([2, 0]);
    expect(backend.slice(rows, 3, 0).shape).toEqual([0, 3]);
  });
  it('shares its memory with the buffer, and is written through', async () => {
    const target = matrix(3, 2, () => 1);
    backend.fill(backend.slice(target, 1, 1), 5);
    backend.addInto(target, target);
    expect([...(await backend.read(backend.slice(target, 1, 2)))]).toEqual([10, 10, 2, 2]);
  });
  it('owns nothing: it takes no memory, survives no free of its buffer, and frees nothing', () => {
    const own = createReferenceBackend();
    const whole = own.zeros([4, 2]);
    const view = own.tidy(() => own.slice(whole, 0, 2));
    expect(own.memory()).toEqual({ current: 32, peak: 32 });
    own.free(view);
    expect(() => own.scale(whole, 1)).not.toThrow();
    expect(own.slice(whole, 0, 1).shape).toEqual([1, 2]);
    own.free(whole);
    expect(() => own.scale(view, 1)).toThrow(/shape \[2, 2\] was used after it was freed/);
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
    const target = matrix(m, n);
    backend.matmulInto(target, put(a, transposeA), put(b, transposeB), { transposeA, transposeB });
    backend.matmulInto(target, put(a, transposeA), put(b, transposeB), {
      transposeA,
      transposeB,
      scale: -0.5,
    });
    expect([...(await backend.read(target))]).toEqual([...y].map((value, i) => i + value / 2));
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

it('its backward overwrites the logits with scale · (softmax − onehot), and ignored rows with zeros', async () => {
  const targets = backend.upload(Int32Array.of(1, IGNORE_INDEX), [2]);
  const logits = backend.upload(Float32Array.of(0, Math.log(3), 5, 5), [2, 2]);
  const { logSumExp } = backend.crossEntropy(logits, targets);
  backend.crossEntropyBackwardInto(logits, targets, logSumExp, 2);
  const [a, b, c, d] = await backend.read(logits);
  expect(a).toBeCloseTo(2 * 0.25, 6);
  expect(b).toBeCloseTo(2 * (0.75 - 1), 6);
  expect([c, d]).toEqual([0, 0]);
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
    ['matmulInto', () => backend.matmulInto(matrix(2, 2), matrix(2, 3), matrix(2, 3))],
    ['matmulInto', () => backend.matmulInto(matrix(3, 2), matrix(2, 3), matrix(3, 2))],
    [
      'matmulInto',
      () => {
        const square = matrix(2, 2);
        backend.matmulInto(square, square, matrix(2, 2));
      },
    ],
    [
      'crossEntropyBackwardInto',
      () =>
        backend.crossEntropyBackwardInto(
          matrix(1, 3),
          backend.upload(Int32Array.of(3), [1]),
          matrix(1, 1),
          1,
        ),
    ],
    ['slice', () => backend.slice(matrix(3, 2), 2, 2)],
    ['slice', () => backend.slice(matrix(3, 2), -1, 2)],
    ['slice', () => backend.slice(matrix(3, 2), 0.5, 1)],
    ['slice', () => backend.slice(backend.zeros([1, 1, 1]), 0, 1)],
    ['embedding', () => backend.embedding(matrix(2, 3), backend.upload(Int32Array.of(0), [1, 1]))],
    [
      'embeddingBackward',
      () => backend.embeddingBackward(matrix(1, 3), backend.upload(Int32Array.of(2), [1]), 2),
    ],
    ['swiglu', () => backend.swiglu(matrix(1, 3), matrix(3, 1))],
    [
      'rmsNormBackward',
      () => backend.rmsNormBackward(matrix(2, 3), matrix(2, 3), backend.zeros([3]), backend.zeros([3])),
    ],
    ['addBias', () => backend.addBias(matrix(2, 3), backend.zeros([2]))],
    ['write', () => backend.write(matrix(2, 3), new Float32Array(5))],
    ['adamw', () => backend.adamw(matrix(1, 2), matrix(1, 2), matrix(2, 1), matrix(1, 2), {} as never)],
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
