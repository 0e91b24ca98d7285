// Kernels by rows, cross entropy and the optimizer, held to plain TypeScript that sums in f64: bounds are in units of
// U = 2^-24 relative to the sum of the magnitudes of an output's terms; runs of at most 32 terms are summed in f32.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUILDS, checkClose, Kernels, randomFloats, randomNumbers, U } from './testing/kernels';

const { abs } = Math;
const seeds = fc.integer();
const rowCounts = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 6, max: 80 }));
const widths = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 700 }));
const scales = fc.constantFrom(1, 1e-3, 300);
const integers = (seed: number, length: number, below: number) => {
  const random = randomNumbers(seed);
  return Int32Array.from({ length }, () => Math.floor(random() * below));
};
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const sum = (terms: number[]) => terms.reduce((total, term) => total + term, 0);

describe.each(BUILDS)('kernels by rows, $name', (build) => {
  const kernels = new Kernels(build);
  const floats = (address: number, length: number) => kernels.get(Float32Array, address, length);
  const input = (seed: number, length: number, scale = 1) => {
    const values = randomFloats(seed, length, scale);
    return { values, address: kernels.put(values) };
  };

  it('rmsNorm and its backwards', () => {
    fc.assert(
      fc.property(seeds, rowCounts, widths, scales, (seed, rows, width, scale) => {
        kernels.clear();
        const epsilon = 1e-5;
        const x = input(seed, rows * width, scale);
        const weight = input(seed + 1, width);
        const dy = input(seed + 2, rows * width);
        const inverses = Float32Array.from(range(rows), (r) => {
          const row = [...x.values.subarray(r * width, (r + 1) * width)];
          return 1 / Math.sqrt(sum(row.map((value) => value * value)) / width + epsilon);
        });
        const y = kernels.output(rows * width);
        const inverse = kernels.output(rows);
        kernels.run('rmsNorm', [x.address, weight.address, epsilon, y, inverse, width], rows, seed);
        checkClose('inverse', floats(inverse, rows), inverses, (r) => 20 * U * inverses[r]!);
        const column = (i: number) => weight.values[i % width]!;
        const normed = Array.from(x.values, (v, i) => v * inverses[Math.floor(i / width)]! * column(i));
        checkClose('y', floats(y, rows * width), normed, (i) => 24 * U * abs(normed[i]!));

        // The backwards get the exact inverses, rounded.
        const factors = kernels.put(inverses);
        const dx = kernels.output(rows * width);
        const args = [dy.address, x.address, weight.address, factors, dx, width];
        kernels.run('rmsNormBackward', args, rows, seed);
        const gradients = Array.from(dy.values, (d, i) => d * column(i));
        const means = range(rows).map((r) => {
          const terms = range(width).map((i) => gradients[r * width + i]! * x.values[r * width + i]!);
          const factor = inverses[r]! ** 2 / width;
          return { mean: sum(terms) * factor, size: sum(terms.map(abs)) * factor };
        });
        const at = (i: number) => ({
          ...means[Math.floor(i / width)]!,
          factor: inverses[Math.floor(i / width)]!,
        });
        checkClose(
          'dx',
          floats(dx, rows * width),
          gradients.map((gradient, i) => at(i).factor * (gradient - x.values[i]! * at(i).mean)),
          (i) => 40 * U * at(i).factor * (abs(gradients[i]!) + abs(x.values[i]!) * at(i).size),
        );

        const dWeight = kernels.output(width);
        const strips = kernels.call('columnStrips', width);
        const weightArgs = [dy.address, x.address, factors, dWeight, rows, width];
        kernels.run('rmsNormWeightBackward', weightArgs, strips, seed);
        const terms = range(width).map((c) =>
          range(rows).map((r) => dy.values[r * width + c]! * x.values[r * width + c]! * inverses[r]!),
        );
        checkClose(
          'dWeight',
          floats(dWeight, width),
          terms.map(sum),
          (c) => 40 * U * sum(terms[c]!.map(abs)),
        );
      }),
    );
  });

  it('sumRows', () => {
    fc.assert(
      fc.property(seeds, rowCounts, widths, scales, (seed, rows, columns, scale) => {
        kernels.clear();
        const x = input(seed, rows * columns, scale);
        const out = kernels.output(columns);
        const strips = kernels.call('columnStrips', columns);
        kernels.run('sumRows', [x.address, out, rows, columns], strips, seed);
        const terms = range(columns).map((c) => range(rows).map((r) => x.values[r * columns + c]!));
        checkClose('sum', floats(out, columns), terms.map(sum), (c) => 36 * U * sum(terms[c]!.map(abs)));
      }),
    );
  });

  it('sumRows of more columns than scratch takes at a time', () => {
    kernels.clear();
    const [rows, columns] = [3, 20_001];
    const x = input(5, rows * columns);
    const out = kernels.output(columns);
    kernels.run('sumRows', [x.address, out, rows, columns], kernels.call('columnStrips', columns), 9);
    const want = range(columns).map((c) => sum(range(rows).map((r) => x.values[r * columns + c]!)));
    checkClose('sum', floats(out, columns), want, () => 1e-5);
  });

  it('embedding and its backward are exact, rows that repeat included', () => {
    fc.assert(
      fc.property(
        seeds,
        rowCounts,
        widths,
        fc.integer({ min: 1, max: 9 }),
        (seed, rows, width, vocabulary) => {
          kernels.clear();
          const table = input(seed, vocabulary * width);
          const dy = input(seed + 1, rows * width);
          const ids = integers(seed, rows, vocabulary);
          const places = kernels.put(ids);
          const out = kernels.output(rows * width);
          kernels.run('embedding', [table.address, places, out, width], rows, seed);
          const want = Float32Array.from(range(rows * width), (i) => {
            return table.values[ids[Math.floor(i / width)]! * width + (i % width)]!;
          });
          expect(floats(out, rows * width)).toEqual(want);

          const dTable = kernels.output(new Float32Array(vocabulary * width));
          const args = [dy.address, places, dTable, rows, width];
          kernels.run('embeddingBackward', args, kernels.call('columnStrips', width), seed);
          const sums = new Float32Array(vocabulary * width);
          dy.values.forEach((value, i) => {
            sums[ids[Math.floor(i / width)]! * width + (i % width)]! += value;
          });
          expect(floats(dTable, vocabulary * width)).toEqual(sums);
        },
      ),
    );
  });

  it('rope', () => {
    const shapes = fc.record({
      heads: fc.integer({ min: 1, max: 5 }),
      half: fc.integer({ min: 1, max: 40 }),
      sequenceLength: fc.integer({ min: 1, max: 9 }),
      batch: fc.integer({ min: 0, max: 3 }),
      offset: fc.integer({ min: 0, max: 7 }),
      sign: fc.constantFrom(1, -1),
    });
    fc.assert(
      fc.property(seeds, shapes, (seed, { heads, half, sequenceLength, batch, offset, sign }) => {
        kernels.clear();
        const [headDim, rows] = [2 * half, batch * sequenceLength];
        const x = input(seed, rows * heads * headDim, 3);
        const cos = input(seed + 1, (offset + sequenceLength) * half);
        const sin = input(seed + 2, (offset + sequenceLength) * half);
        const out = kernels.output(x.values.length);
        const args = [x.address, cos.address, sin.address, out, heads, headDim, sequenceLength, offset, sign];
        kernels.run('rope', args, rows, seed);
        const terms = Array.from(x.values, (value, i) => {
          const row = Math.floor(i / (heads * headDim));
          const place = i % headDim;
          const angle = (offset + (row % sequenceLength)) * half + (place % half);
          const first = place < half;
          const other = x.values[first ? i + half : i - half]!;
          return [value * cos.values[angle]!, (first ? -1 : 1) * sign * other * sin.values[angle]!];
        });
        checkClose('rope', floats(out, terms.length), terms.map(sum), (i) => 2 * U * sum(terms[i]!.map(abs)));
      }),
    );
  });

  describe('cross entropy', () => {
    const check = (seed: number, rows: number, columns: number, scale: number) =>
      checkLogits(seed, rows, columns, randomFloats(seed, rows * columns, scale));
    const checkLogits = (seed: number, rows: number, columns: number, values: Float32Array) => {
      kernels.clear();
      const logits = { values, address: kernels.put(values) };
      const targets = integers(seed + 1, rows, columns).map((target, r) => (r % 4 === 3 ? -100 : target));
      const losses = kernels.output(rows);
      const logSumExp = kernels.output(rows);
      const places = kernels.put(targets);
      kernels.run('crossEntropy', [logits.address, places, losses, logSumExp, columns], rows, seed);
      const want = range(rows).map((r) => {
        const row = [...logits.values.subarray(r * columns, (r + 1) * columns)];
        const max = row.reduce((a, b) => Math.max(a, b));
        const lse = max + Math.log(sum(row.map((value) => Math.exp(value - max))));
        return { lse, loss: targets[r] === -100 ? 0 : lse - row[targets[r]!]! };
      });
      const sums = want.map(({ lse }) => lse);
      checkClose('logSumExp', floats(logSumExp, rows), sums, (r) => 40 * U + U * abs(sums[r]!));
      const nats = want.map(({ loss }) => loss);
      checkClose('loss', floats(losses, rows), nats, (r) => 40 * U + U * abs(nats[r]!));

      const given = Float32Array.from(sums);
      const factor = 0.37;
      const inPlace = kernels.output(logits.values);
      kernels.run(
        'crossEntropyBackwardInto',
        [inPlace, places, kernels.put(given), factor, columns],
        rows,
        seed,
      );
      const at = (i: number) => {
        const row = Math.floor(i / columns);
        if (targets[row] === -100) return { value: 0, bound: 0 };
        const shifted = logits.values[i]! - given[row]!;
        const chance = factor * Math.exp(shifted);
        const hit = targets[row] === i % columns ? factor : 0;
        return { value: chance - hit, bound: U * (chance * (abs(shifted) + 5) + 2 * hit) + 2 ** -126 };
      };
      const gradients = range(rows * columns).map((i) => at(i).value);
      checkClose('dLogits', floats(inPlace, rows * columns), gradients, (i) => at(i).bound);
    };

    it('of any width, ignored rows included', () => {
      const spreads = fc.constantFrom(1, 20, 80);
      fc.assert(fc.property(seeds, fc.integer({ min: 0, max: 9 }), widths, spreads, check));
    });

    it('over a vocabulary of 49152 keeps logSumExp to 1e-6', () => {
      check(7, 5, 49_152, 1);
      check(8, 3, 49_153, 6);
      // Terms that are all alike, so that roundings of a long sum would not even out.
      checkLogits(9, 1, 49_152, new Float32Array(49_152).fill(0).fill(0.3, 0, 1));
    });

    it('of NaN is NaN, and of minus infinity finite', () => {
      kernels.clear();
      const { NaN: nan, NEGATIVE_INFINITY: none } = Number;
      const rows = [
        [1, nan, 2, 3, 4],
        [none, 2, none, 2, none],
      ];
      const logSumExp = kernels.output(2);
      const targets = kernels.put(Int32Array.of(0, 1));
      const logits = kernels.put(Float32Array.from(rows.flat()));
      kernels.run('crossEntropy', [logits, targets, kernels.output(2), logSumExp, 5], 2, 1);
      const [first, second] = floats(logSumExp, 2);
      expect(first).toBeNaN();
      expect(second).toBeCloseTo(2 + Math.log(2), 6);
    });
  });

  it('adamw gives the bytes of the reference over many steps', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.integer({ min: 0, max: 70 }),
        fc.double({ min: 0.01, max: 2 }),
        (seed, length, clip) => {
          kernels.clear();
          const want = {
            p: randomFloats(seed, length),
            m: new Float32Array(length),
            v: new Float32Array(length),
          };
          const [p, m, v] = [want.p, want.m, want.v].map((values) => kernels.output(values)) as [
            number,
            number,
            number,
          ];
          const [rate, beta1, beta2, epsilon, weightDecay] = [1e-3, 0.9, 0.999, 1e-8, 0.01];
          for (let step = 1; step <= 20; step++) {
            const gradient = randomFloats(seed + step, length, 10 ** -(step % 5));
            const correction1 = 1 - beta1 ** step;
            const correction2 = Math.sqrt(1 - beta2 ** step);
            const constants = [rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, clip];
            kernels.run('adamw', [p, kernels.put(gradient), m, v, ...constants], length, seed);
            for (let i = 0; i < length; i++) {
              const g = gradient[i]! * clip;
              const first = beta1 * want.m[i]! + (1 - beta1) * g;
              const second = beta2 * want.v[i]! + (1 - beta2) * g * g;
              want.m[i] = first;
              want.v[i] = second;
              const denominator = Math.sqrt(second) / correction2 + epsilon;
              want.p[i] =
                want.p[i]! * (1 - rate * weightDecay) - (rate * first) / (correction1 * denominator);
            }
          }
          expect(floats(p, length)).toEqual(want.p);
          expect(floats(m, length)).toEqual(want.m);
          expect(floats(v, length)).toEqual(want.v);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('sumSquares, in chunks of 4096', () => {
    const counts = fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 4000, max: 20_000 }));
    fc.assert(
      fc.property(seeds, counts, (seed, length) => {
        kernels.clear();
        const x = input(seed, length, 1e3);
        const chunks = kernels.call('sumSquaresChunks', length);
        expect(chunks).toBe(Math.ceil(length / 4096));
        const partials = kernels.output(chunks, 8);
        kernels.run('sumSquares', [x.address, length, partials], chunks, seed);
        const want = range(chunks).map((c) =>
          sum([...x.values.subarray(c * 4096, (c + 1) * 4096)].map((value) => value * value)),
        );
        checkClose('partial', kernels.get(Float64Array, partials, chunks), want, (c) => 1e-12 * want[c]!);
      }),
    );
  });
});
