// Attention and its backward, held to plain TypeScript in f64 that has every weight in a matrix. Bounds follow the terms:
// the error of a score is that of a dot product of headDim terms, and it is the relative error of a weight.
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { BUILDS, checkClose, Kernels, randomFloats, U } from './testing/kernels';

interface Shape {
  readonly batch: number;
  readonly queryLength: number;
  readonly keyLength: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly scale: number;
}

const { abs } = Math;
const sum = (terms: readonly number[]) => terms.reduce((total, term) => total + term, 0);

/** The sum of products and that of their magnitudes. */
function dot(a: Float32Array, at: number, b: Float32Array, bAt: number, length: number) {
  let value = 0;
  let size = 0;
  for (let d = 0; d < length; d++) {
    const term = a[at + d]! * b[bAt + d]!;
    value += term;
    size += abs(term);
  }
  return { value, size };
}

/** What a query's row of a head has to do with a key that it sees. */
interface Pair {
  readonly query: number;
  readonly key: number;
  readonly statistic: number;
}

/** Calls `body` with each query's row of each head and the pairs that it makes. */
function forEachQuery(shape: Shape, body: (pairs: Pair[], query: number, statistic: number) => void): void {
  const { batch, queryLength, keyLength, heads, keyHeads, headDim } = shape;
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < queryLength; i++) {
      for (let h = 0; h < heads; h++) {
        const statistic = (b * queryLength + i) * heads + h;
        const query = statistic * headDim;
        const seen = keyLength - queryLength + i + 1;
        const keyHead = Math.floor((h * keyHeads) / heads);
        const pairs = Array.from({ length: seen }, (_, j) => {
          return { query, key: ((b * keyLength + j) * keyHeads + keyHead) * headDim, statistic };
        });
        body(pairs, query, statistic);
      }
    }
  }
}

/** Values with what they may be off by. */
class Bounded {
  readonly values: Float64Array;
  readonly bounds: Float64Array;
  constructor(length: number) {
    this.values = new Float64Array(length);
    this.bounds = new Float64Array(length);
  }
  /** Adds weight · row to the values from `at` on, where the weight is off by `error`. */
  addRow(at: number, weight: number, error: number, row: Float32Array, from: number, length: number): void {
    for (let d = 0; d < length; d++) {
      this.values[at + d]! += weight * row[from + d]!;
      this.bounds[at + d]! += error * abs(row[from + d]!);
    }
  }
}

/** Relative error of a sum of `terms` rounded at each step; blocks of sums add a few. */
const sumError = (terms: number) => (Math.min(terms, 160) + terms / 64 + 12) * U;

function forward(q: Float32Array, k: Float32Array, v: Float32Array, shape: Shape) {
  const { batch, queryLength, heads, headDim, scale } = shape;
  const rows = batch * queryLength * heads;
  const out = new Bounded(rows * headDim);
  const logSumExp = new Bounded(rows);
  forEachQuery(shape, (pairs, query, statistic) => {
    const scores = pairs.map(({ key }) => dot(q, query, k, key, headDim));
    const max = Math.max(...scores.map(({ value }) => value * scale));
    const weights = scores.map(({ value }) => Math.exp(value * scale - max));
    const total = sum(weights);
    logSumExp.values[statistic] = max + Math.log(total);
    // Rounding of the greatest score's dot product, of the differences of scores to it, and of the sum.
    const errors = scores.map(({ value, size }) => {
      return (headDim + 4) * U * size * abs(scale) + U * abs(value * scale - max);
    });
    const own = sum(weights.map((weight, j) => (weight / total) * errors[j]!));
    logSumExp.bounds[statistic] = own + sumError(pairs.length) + 3 * U * abs(max);
    pairs.forEach(({ key }, j) => {
      const weight = weights[j]! / total;
      const error = weight * (errors[j]! + own + 2 * sumError(pairs.length));
      out.addRow(query, weight, error, v, key, headDim);
    });
  });
  return { out, logSumExp };
}

function backward(
  dOut: Float32Array,
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  out: Float32Array,
  logSumExp: Float32Array,
  shape: Shape,
) {
  const { queryLength, heads, keyHeads, headDim, scale } = shape;
  const [dQ, dK, dV] = [new Bounded(q.length), new Bounded(k.length), new Bounded(v.length)];
  const delta = new Bounded(logSumExp.length);
  const passes = sumError(queryLength * (heads / keyHeads));
  forEachQuery(shape, (pairs, query, statistic) => {
    const product = dot(dOut, query, out, query, headDim);
    delta.values[statistic] = product.value;
    delta.bounds[statistic] = (headDim + 4) * U * product.size;
    for (const { key } of pairs) {
      const score = dot(q, query, k, key, headDim);
      const dWeight = dot(dOut, query, v, key, headDim);
      const logarithm = score.value * scale - logSumExp[statistic]!;
      const weight = Math.exp(logarithm);
      // Relative error of the weight.
      const off = (headDim + 4) * U * score.size * abs(scale) + U * abs(logarithm) + 4 * U;
      const size = dWeight.size + product.size;
      const slope = weight * (dWeight.value - product.value) * scale;
      const slopeOff =
        weight * abs(scale) * (abs(dWeight.value - product.value) * off + (headDim + 8) * U * size);
      const rounding = abs(slope) * Math.max(passes, sumError(pairs.length));
      dQ.addRow(query, slope, slopeOff + rounding, k, key, headDim);
      dK.addRow(key, slope, slopeOff + rounding, q, query, headDim);
      dV.addRow(key, weight, weight * (off + passes), dOut, query, headDim);
    }
  });
  return { dQ, dK, dV, delta };
}

const headDims = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(3, 8, 48, 64, 80, 128, 256));
const shapes = fc
  .record({
    batch: fc.integer({ min: 1, max: 2 }),
    queryLength: fc.oneof(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 11, max: 90 })),
    before: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 150 })),
    group: fc.integer({ min: 1, max: 4 }),
    keyHeads: fc.integer({ min: 1, max: 3 }),
    headDim: headDims,
    /** Keys that no query sees. */
    more: fc.integer({ min: 0, max: 3 }),
    /** How large scores are, about. */
    magnitude: fc.constantFrom(1, 5, 80),
    seed: fc.integer(),
  })
  .map(({ before, group, magnitude, more, ...rest }) => ({
    shape: {
      ...rest,
      keyLength: rest.queryLength + before,
      heads: group * rest.keyHeads,
      scale: 1 / Math.sqrt(rest.headDim),
    },
    // Elements are of some 0.6 on average: scores of √headDim · 0.36 · scale · factor².
    factor: Math.sqrt(magnitude / 0.36),
    more: rest.batch === 1 ? more : 0,
    seed: rest.seed,
  }));

describe.each(BUILDS)('attention, $name', (build) => {
  const kernels = new Kernels(build);

  function check(shape: Shape, factor: number, more: number, seed: number, withBackward = true): void {
    const { batch, queryLength, keyLength, heads, keyHeads, headDim, scale } = shape;
    kernels.clear();
    const rows = batch * queryLength;
    const keyRows = batch * keyLength;
    const [q, k, v, dOut] = [
      randomFloats(seed, rows * heads * headDim, factor),
      randomFloats(seed + 1, (keyRows + more) * keyHeads * headDim, factor),
      randomFloats(seed + 2, (keyRows + more) * keyHeads * headDim),
      randomFloats(seed + 3, rows * heads * headDim),
    ];
    // Rows that nobody sees must stay out of everything.
    for (const cache of [k, v]) cache.fill(Number.NaN, keyRows * keyHeads * headDim);
    const [qAt, kAt, vAt, dOutAt] = [q, k, v, dOut].map((values) => kernels.put(values)) as [
      number,
      number,
      number,
      number,
    ];
    const how = [queryLength, keyLength, heads, keyHeads, headDim, scale];
    const near = (what: string, address: number, want: Bounded) => {
      const got = kernels.get(Float32Array, address, want.values.length);
      checkClose(what, got, want.values, (i) => want.bounds[i]! + U * abs(want.values[i]!) + 1e-35);
    };

    const out = kernels.output(q.length);
    const logSumExp = kernels.output(rows * heads);
    const units = kernels.call('attentionUnits', batch, queryLength, heads, keyHeads);
    kernels.run('attention', [qAt, kAt, vAt, out, logSumExp, ...how], units, seed);
    const want = forward(q, k, v, shape);
    near('out', out, want.out);
    near('logSumExp', logSumExp, want.logSumExp);
    if (!withBackward) return;

    // The backward gets the exact output and log-sum-exp, rounded.
    const given = {
      out: Float32Array.from(want.out.values),
      logSumExp: Float32Array.from(want.logSumExp.values),
    };
    const [outAt, sumAt] = [kernels.put(given.out), kernels.put(given.logSumExp)];
    const delta = kernels.output(rows * heads);
    const dQ = kernels.output(q.length);
    const queryArgs = [dOutAt, qAt, kAt, vAt, outAt, sumAt, delta, dQ, ...how];
    const queryUnits = kernels.call('attentionQueryUnits', batch, queryLength, heads);
    kernels.run('attentionBackwardQuery', queryArgs, queryUnits, seed);
    const dK = kernels.output(keyRows * keyHeads * headDim);
    const dV = kernels.output(keyRows * keyHeads * headDim);
    const keyArgs = [dOutAt, qAt, kAt, vAt, sumAt, delta, dK, dV, ...how];
    const keyUnits = kernels.call('attentionKeyUnits', batch, keyLength, keyHeads);
    kernels.run('attentionBackwardKeyValue', keyArgs, keyUnits, seed);
    const gradients = backward(
      dOut,
      q,
      k.subarray(0, keyRows * keyHeads * headDim),
      v.subarray(0, keyRows * keyHeads * headDim),
      given.out,
      given.logSumExp,
      shape,
    );
    near('delta', delta, gradients.delta);
    near('dQ', dQ, gradients.dQ);
    near('dK', dK, gradients.dK);
    near('dV', dV, gradients.dV);
  }

  it('of random shapes, forward and backward', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(shapes, ({ shape, factor, more, seed }) => check(shape, factor, more, seed)),
      { numRuns: 60 },
    );
  });

  it('of one query over a cache', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: 1, max: 20 }), ({ shape, factor, more, seed }, group) => {
        const heads = group * shape.keyHeads;
        const keyLength = shape.keyLength - shape.queryLength + 1;
        check({ ...shape, queryLength: 1, keyLength, heads }, factor, more, seed, false);
      }),
      { numRuns: 60 },
    );
  });

  it('of sequences of several blocks of keys', { timeout: 60_000 }, () => {
    const shape = { batch: 1, keyHeads: 1, heads: 2, headDim: 16, scale: 0.25 };
    check({ ...shape, queryLength: 300, keyLength: 300 }, 2, 0, 1);
    check({ ...shape, queryLength: 33, keyLength: 700 }, 2, 5, 2);
    check({ ...shape, queryLength: 1, keyLength: 1000 }, 2, 5, 3);
  });

  it('of the longest head that scratch takes', { timeout: 60_000 }, () => {
    const headDim = kernels.call('attentionHeadDimLimit');
    const shape = { batch: 1, keyHeads: 1, heads: 1, headDim, scale: 0.03 };
    check({ ...shape, queryLength: 70, keyLength: 140 }, 1, 0, 1);
    check({ ...shape, queryLength: 1, keyLength: 140 }, 1, 0, 1, false);
    check({ ...shape, queryLength: 5, keyLength: 9, headDim: headDim - 1 }, 1, 0, 1);
  });
});
