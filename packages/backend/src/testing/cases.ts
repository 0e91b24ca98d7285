// What every backend must compute: each operation of the contract on random shapes, odd ones among them, as a list that
// needs no test framework, so that it runs in a browser's page and in a worker as well as in the tests here.
import { quantizeTensor } from '@qlora/quant-strategies';
import { type Random, tensor } from '@qlora/tensor';
import { type AttentionShape, type Backend, type Buffer, IGNORE_INDEX } from '../contract';

/** One operation on given inputs. */
export interface OperationCase {
  readonly name: string;
  /**
   * Largest error allowed, relative to the largest magnitude of the output; 0 asks for the same bits.
   * f32 sums of a few hundred terms stay below 1e-5; a fused multiply-add rounds less often than the reference.
   */
  readonly bound: number;
  /** Draws shapes and inputs; the same state of `rng` gives the same ones. Gives every buffer that came out. */
  run(backend: Backend, rng: Random): Promise<Float32Array[]>;
}

/** A size that is often odd, seldom large, sometimes 1. */
const size = (rng: Random, most: number): number => {
  const kind = rng.integer(8);
  if (kind === 0) return 1;
  return 1 + rng.integer(kind === 1 ? most : Math.max(1, most >> 2));
};
const normals = (rng: Random, count: number, scale = 1): Float32Array =>
  Float32Array.from({ length: count }, () => scale * rng.normal());
const matrix = (backend: Backend, rng: Random, rows: number, columns: number, scale = 1): Buffer =>
  backend.upload(normals(rng, rows * columns, scale), [rows, columns]);
const vector = (backend: Backend, rng: Random, length: number): Buffer =>
  backend.upload(normals(rng, length), [length]);
const integers = (backend: Backend, rng: Random, length: number, below: number, ignored = false): Buffer =>
  backend.upload(
    Int32Array.from({ length }, () => (ignored && rng.integer(4) === 0 ? IGNORE_INDEX : rng.integer(below))),
    [length],
  );
const readAll = (backend: Backend, ...buffers: Buffer[]): Promise<Float32Array[]> =>
  Promise.all(buffers.map((buffer) => backend.read(buffer)));

/** Elementwise operations on a matrix, whose results the reference rounds once. */
const simple = (
  name: string,
  bound: number,
  operation: (backend: Backend, inputs: [Buffer, Buffer, Buffer], rng: Random) => Buffer[],
): OperationCase => ({
  name,
  bound,
  run(backend, rng) {
    const [rows, columns] = [size(rng, 200), size(rng, 400)];
    const input = () => matrix(backend, rng, rows, columns, 2);
    return readAll(backend, ...operation(backend, [input(), input(), input()], rng));
  },
});

function quantizedCase(strategy: string, scheme: string): OperationCase {
  return {
    name: `quantized products, ${scheme} ${strategy}`,
    bound: 1e-5,
    async run(backend, rng) {
      const [rows, out, input] = [size(rng, 230), size(rng, 220), size(rng, 500)];
      const blockSize = 32 << rng.integer(4);
      // Lengths of rows that fit blocks are the common case, and have kernels of their own.
      const inFeatures = rng.integer(2) === 0 ? input : Math.ceil(input / 64) * 64;
      const weight = quantizeTensor(tensor('f32', [out, inFeatures], normals(rng, out * inFeatures)), {
        ...{ strategy, scheme, blockSize, doubleQuant: rng.integer(2) === 0 },
      });
      const placed = backend.uploadQuantized(weight);
      const results = await readAll(
        backend,
        backend.quantizedMatmul(matrix(backend, rng, rows, inFeatures), placed),
        backend.quantizedMatmul(matrix(backend, rng, 1, inFeatures), placed),
        backend.quantizedMatmulBackward(matrix(backend, rng, rows, out), placed),
        backend.dequantize(placed),
      );
      backend.free(placed);
      return results;
    },
  };
}

function matmulCase(transposeA: boolean, transposeB: boolean): OperationCase {
  const letters = `${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}`;
  return {
    name: `matmul and matmulInto, ${letters}`,
    bound: 1e-5,
    run(backend, rng) {
      const [m, n, k] = [size(rng, 230), size(rng, 230), size(rng, 500)];
      const a = transposeA ? matrix(backend, rng, k, m) : matrix(backend, rng, m, k);
      const b = transposeB ? matrix(backend, rng, n, k) : matrix(backend, rng, k, n);
      const target = matrix(backend, rng, m, n);
      backend.matmulInto(target, a, b, { transposeA, transposeB, scale: -0.75 });
      return readAll(backend, backend.matmul(a, b, { transposeA, transposeB }), target);
    },
  };
}

function attentionShape(rng: Random): AttentionShape {
  const keyHeads = 1 + rng.integer(3);
  const batch = 1 + rng.integer(3);
  const queryLength = size(rng, 90);
  const headDim = rng.integer(2) === 0 ? 1 + rng.integer(40) : 8 * (1 + rng.integer(10));
  return {
    batch,
    queryLength,
    keyLength: queryLength + (rng.integer(2) === 0 ? 0 : size(rng, 60)),
    heads: keyHeads * (1 + rng.integer(4)),
    keyHeads,
    headDim,
    scale: 1 / Math.sqrt(headDim),
  };
}

const attentionCase: OperationCase = {
  name: 'attention and its backward',
  bound: 2e-5,
  run(backend, rng) {
    const shape = attentionShape(rng);
    const { batch, queryLength, keyLength, heads, keyHeads, headDim } = shape;
    // With a batch of one the keys may lie in a cache with room for more.
    const keyRows = batch * keyLength + (batch === 1 ? rng.integer(20) : 0);
    const q = matrix(backend, rng, batch * queryLength, heads * headDim, 2);
    const k = matrix(backend, rng, keyRows, keyHeads * headDim, 2);
    const v = matrix(backend, rng, keyRows, keyHeads * headDim);
    const dOut = matrix(backend, rng, batch * queryLength, heads * headDim);
    const { out, logSumExp } = backend.attention(q, k, v, shape);
    const { dQ, dK, dV } = backend.attentionBackward(dOut, q, k, v, out, logSumExp, shape);
    return readAll(backend, out, logSumExp, dQ, dK, dV);
  },
};

const ropeCase: OperationCase = {
  name: 'rope, forward and back',
  bound: 1e-6,
  run(backend, rng) {
    const [heads, half, sequenceLength, batch] = [size(rng, 12), size(rng, 48), size(rng, 40), size(rng, 6)];
    const offset = rng.integer(9);
    const positions = sequenceLength + offset + rng.integer(3);
    const shape = { heads, headDim: 2 * half, sequenceLength, offset };
    const x = matrix(backend, rng, batch * sequenceLength, heads * 2 * half);
    const cos = matrix(backend, rng, positions, half);
    const sin = matrix(backend, rng, positions, half);
    return readAll(backend, backend.rope(x, cos, sin, shape), backend.rope(x, cos, sin, shape, true));
  },
};

const rmsNormCase: OperationCase = {
  name: 'rmsNorm and its backwards',
  // In narrow rows the two terms of dx nearly cancel.
  bound: 1e-4,
  run(backend, rng) {
    const [rows, columns] = [size(rng, 200), size(rng, 700)];
    const x = matrix(backend, rng, rows, columns, 3);
    const weight = vector(backend, rng, columns);
    const dy = matrix(backend, rng, rows, columns);
    const { y, inverse } = backend.rmsNorm(x, weight, 1e-5);
    const dx = backend.rmsNormBackward(dy, x, weight, inverse);
    return readAll(backend, y, inverse, dx, backend.rmsNormWeightBackward(dy, x, inverse));
  },
};

const embeddingCase: OperationCase = {
  name: 'embedding, its backward and writeRows',
  bound: 1e-6,
  run(backend, rng) {
    const [vocabulary, rows, width] = [size(rng, 300), size(rng, 300), size(rng, 300)];
    const table = matrix(backend, rng, vocabulary, width);
    const ids = integers(backend, rng, rows, vocabulary);
    const dy = matrix(backend, rng, rows, width);
    const target = matrix(backend, rng, rows + 3, width);
    backend.writeRows(target, dy, rng.integer(4));
    return readAll(
      backend,
      backend.embedding(table, ids),
      backend.embeddingBackward(dy, ids, vocabulary),
      target,
    );
  },
};

const crossEntropyCase: OperationCase = {
  name: 'cross entropy and its backward',
  bound: 1e-5,
  async run(backend, rng) {
    const [rows, columns] = [size(rng, 60), size(rng, 3000)];
    const logits = matrix(backend, rng, rows, columns, 5);
    const targets = integers(backend, rng, rows, columns, true);
    const { losses, logSumExp } = backend.crossEntropy(logits, targets);
    const [first = new Float32Array(), second = new Float32Array()] = await readAll(
      backend,
      losses,
      logSumExp,
    );
    backend.crossEntropyBackwardInto(logits, targets, logSumExp, 0.125);
    return [first, second, await backend.read(logits)];
  },
};

const optimizerCase: OperationCase = {
  name: 'sum of squares and two steps of AdamW',
  bound: 1e-6,
  async run(backend, rng) {
    const [rows, columns] = [size(rng, 200), size(rng, 400)];
    const [p, g] = [matrix(backend, rng, rows, columns), matrix(backend, rng, rows, columns)];
    const [m, v] = [backend.zeros([rows, columns]), backend.zeros([rows, columns])];
    const rates = { learningRate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 };
    for (const step of [1, 2]) backend.adamw(p, g, m, v, { ...rates, step, gradientScale: 0.5 });
    return readAll(backend, backend.sumSquares([p, g]), p, m, v);
  },
};

const rowCase: OperationCase = {
  name: 'addBias, sumRows and slice',
  bound: 1e-5,
  run(backend, rng) {
    const [rows, columns] = [size(rng, 300), size(rng, 300)];
    const x = matrix(backend, rng, rows, columns);
    const bias = vector(backend, rng, columns);
    const start = rng.integer(rows);
    const view = backend.slice(x, start, 1 + rng.integer(rows - start));
    return readAll(backend, backend.addBias(x, bias), backend.sumRows(x), backend.scale(view, 2));
  },
};

/** Every operation of the contract. */
export const operationCases: readonly OperationCase[] = [
  ...['blockwise', 'per-channel', 'zero-point'].map((strategy) => quantizedCase(strategy, 'nf4')),
  quantizedCase('blockwise', 'fp4'),
  matmulCase(false, false),
  matmulCase(false, true),
  matmulCase(true, false),
  matmulCase(true, true),
  attentionCase,
  ropeCase,
  rmsNormCase,
  embeddingCase,
  crossEntropyCase,
  optimizerCase,
  rowCase,
  simple('add', 0, (backend, [a, b]) => [backend.add(a, b)]),
  simple('add with a factor, and addInto', 1e-6, (backend, [a, b, c]) => {
    backend.addInto(c, a, -0.3);
    return [backend.add(a, b, 1.7), c];
  }),
  simple('scale and fill', 2e-7, (backend, [a, b]) => {
    backend.fill(b, 0.1);
    return [backend.scale(a, 0.3), b];
  }),
  simple('dropout', 5e-7, (backend, [a], rng) => [backend.dropout(a, rng.uniform() * 0.9, rng.integer(1e9))]),
  simple('swiglu', 1e-6, (backend, [gate, up]) => [backend.swiglu(gate, up)]),
  simple('swigluBackward', 1e-6, (backend, [dy, gate, up]) => {
    const { dGate, dUp } = backend.swigluBackward(dy, gate, up);
    return [dGate, dUp];
  }),
];
