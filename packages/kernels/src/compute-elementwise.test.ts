// Elementwise kernels and the functions behind them, held to plain TypeScript: bit for bit where f32 allows it, else to
// bounds in units of U = 2^-24, half an ulp.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUILDS, checkClose, Kernels, randomFloats, U } from './testing/kernels';

const { fround, abs } = Math;
const seeds = fc.integer();
/** Lengths around the width of vectors, none, and some that take several turns. */
const lengths = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 41, max: 700 }));
const factors = fc.oneof(fc.constantFrom(1, 0, -1, 0.5), fc.float({ min: -8, max: 8, noNaN: true }));

/** The reference's hash: the 32-bit finalizer of MurmurHash3 (Appleby, public domain) over index and seed. */
function hash(index: number, seed: number): number {
  let h = Math.imul(index + 1, 0x9e3779b1) ^ seed;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

describe.each(BUILDS)('elementwise kernels, $name', (build) => {
  const kernels = new Kernels(build);
  const inputs = (seed: number, length: number, scale = 2) => {
    kernels.clear();
    return [0, 1, 2].map((i) => {
      const values = randomFloats(seed + i, length, scale);
      return { values, address: kernels.put(values) };
    }) as [Input, Input, Input];
  };
  type Input = { values: Float32Array; address: number };
  const floats = (address: number, length: number) => kernels.get(Float32Array, address, length);

  it('add and addInto: a + scale · b; with scale 1 the f32 sum', () => {
    fc.assert(
      fc.property(seeds, lengths, factors, (seed, length, scale) => {
        const [a, b] = inputs(seed, length);
        const out = kernels.output(length);
        const target = kernels.output(a.values);
        kernels.run('add', [a.address, b.address, scale, out], length, seed);
        kernels.run('addInto', [target, b.address, scale], length, seed);
        const got = floats(out, length);
        expect(floats(target, length)).toEqual(got);
        const want = a.values.map((value, i) => value + scale * b.values[i]!);
        if (scale === 1) expect(got).toEqual(want);
        checkClose('add', got, want, (i) => 3 * U * (abs(a.values[i]!) + abs(scale * b.values[i]!)));
      }),
    );
  });

  it('scale, fill, copy and addBias are exact', () => {
    fc.assert(
      fc.property(
        seeds,
        lengths,
        factors,
        fc.integer({ min: 1, max: 20 }),
        (seed, length, factor, columns) => {
          const [x, bias] = inputs(seed, length);
          const rows = Math.floor(length / columns);
          const scaled = kernels.output(length);
          const filled = kernels.output(length);
          const copied = kernels.output(length);
          const biased = kernels.output(rows * columns);
          kernels.run('scale', [x.address, factor, scaled], length, seed);
          kernels.run('fill', [filled, factor], length, seed);
          kernels.run('copy', [x.address, copied], length, seed);
          kernels.run('addBias', [x.address, bias.address, biased, columns], rows, seed);
          expect(floats(scaled, length)).toEqual(x.values.map((value) => value * factor));
          expect(floats(filled, length)).toEqual(new Float32Array(length).fill(factor));
          expect(floats(copied, length)).toEqual(x.values);
          expect(floats(biased, rows * columns)).toEqual(
            x.values.slice(0, rows * columns).map((value, i) => value + bias.values[i % columns]!),
          );
        },
      ),
    );
  });

  it('dropout has the mask of the reference, bit for bit', () => {
    const chances = fc.oneof(
      fc.constantFrom(0, 0.1, 0.5, 2 ** -32, 1 - 2 ** -33, 1 - 2 ** -53),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    );
    fc.assert(
      fc.property(seeds, lengths, chances, (seed, length, p) => {
        const [x] = inputs(seed, length);
        const out = kernels.output(length);
        kernels.run('dropout', [x.address, p, seed, out], length, seed);
        const factor = fround(1 / (1 - p));
        const want = x.values.map((value, i) => (hash(i, seed) < p * 4294967296 ? 0 : value * factor));
        expect(floats(out, length)).toEqual(want);
      }),
      { numRuns: 200 },
    );
  });

  it('dropout draws the line exactly: a hash that equals p · 2^32 is kept, the next p drops it', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 20 }), (seed, index) => {
        const length = index + 1;
        const [x] = inputs(seed, length);
        const drops = (p: number) => {
          const out = kernels.output(length);
          kernels.call('dropout', x.address, p, seed, out, 0, length);
          return Object.is(floats(out, length)[index], 0);
        };
        kernels.call('fill', x.address, 1, 0, length);
        const p = hash(index, seed) / 4294967296;
        expect([drops(p), drops(p + 2 ** -32)]).toEqual([false, true]);
      }),
    );
  });

  it('dropout drops infinities and NaN as it drops numbers', () => {
    kernels.clear();
    const out = kernels.output(400);
    const x = kernels.put(new Float32Array(400).fill(Number.NaN));
    kernels.run('dropout', [x, 0.5, 3, out], 400, 1);
    expect(new Set(floats(out, 400))).toEqual(new Set([0, Number.NaN]));
  });

  it('swiglu and its backward', () => {
    fc.assert(
      fc.property(seeds, lengths, fc.constantFrom(1, 20, 1e4), (seed, length, scale) => {
        const [gate, up, dy] = inputs(seed, length, scale);
        const out = kernels.output(length);
        const dGate = kernels.output(length);
        const dUp = kernels.output(length);
        kernels.run('swiglu', [gate.address, up.address, out], length, seed);
        const backward = [dy.address, gate.address, up.address, dGate, dUp];
        kernels.run('swigluBackward', backward, length, seed);
        const terms = Array.from(gate.values, (g, i) => {
          const sigmoid = 1 / (1 + Math.exp(-g));
          const rest = 1 / (1 + Math.exp(g));
          const [u, d] = [up.values[i]!, dy.values[i]!];
          return { g, u, d, sigmoid, rest };
        });
        const tiny = 1e-35 * scale ** 2;
        const near = (what: string, at: number, values: number[], sizes: number[]) =>
          checkClose(what, floats(at, length), values, (i) => 10 * U * abs(sizes[i]!) + tiny);
        const silu = terms.map(({ g, u, sigmoid }) => g * sigmoid * u);
        near('swiglu', out, silu, silu);
        near(
          'dGate',
          dGate,
          terms.map(({ g, u, d, sigmoid, rest }) => d * u * sigmoid * (1 + g * rest)),
          terms.map(({ g, u, d, sigmoid, rest }) => d * u * sigmoid * (1 + abs(g) * rest)),
        );
        const slopes = terms.map(({ g, d, sigmoid }) => d * g * sigmoid);
        near('dUp', dUp, slopes, slopes);
      }),
    );
  });

  it('e^x is within 1.2 ulp (0.9 with fused multiply-adds) where it is a normal number', () => {
    const count = 1 << 19;
    const x = new Float32Array(count);
    const bits = new Int32Array(x.buffer);
    // A sample of all floats of both signs up to about 170, then of the range evenly.
    for (let i = 0; i < count / 2; i++) bits[i] = i * 4297 + (i & 1 ? 0x80000000 : 0);
    for (let i = count / 2; i < count; i++) x[i] = -90 + (i * 180) / count;
    kernels.clear();
    const out = kernels.output(count);
    kernels.call('exponential', kernels.put(x), out, 0, count);
    const got = floats(out, count);
    let worst = 0;
    let far = 0;
    x.forEach((value, i) => {
      const want = Math.exp(value);
      const y = got[i]!;
      if (value >= -87.33 && value <= 88.37) {
        worst = Math.max(worst, abs(y - want) / 2 ** (Math.floor(Math.log2(want)) - 23));
      } else if (value < 0) far = Math.max(far, abs(y - want));
      else if (y !== Number.POSITIVE_INFINITY && !(value < 88.38 && abs(y - want) < 1e-6 * want)) far = value;
    });
    expect(worst).toBeLessThan(build.fused ? 0.9 : 1.2);
    expect(far).toBeLessThan(2 ** -126);
  });

  it('e^x of what is no number, or far out', () => {
    kernels.clear();
    const { NaN: nan, POSITIVE_INFINITY: infinite } = Number;
    const x = Float32Array.of(nan, infinite, -infinite, 0, -0, 1e38, -1e38, 88.73, -104, 0, 0, 0);
    // NaNs with a payload and of both signs.
    new Uint32Array(x.buffer).set([0xffffffff, 0x7f800001, 0xff812345], 9);
    const out = kernels.output(x.length);
    kernels.run('exponential', [kernels.put(x), out], x.length, 1);
    const want = [nan, infinite, 0, 1, 1, infinite, 0, infinite, 0, nan, nan, nan];
    expect([...floats(out, x.length)]).toEqual(want);
  });

  it('ln x is within 2 ulp of f64', () => {
    const positive = fc.double({ min: 2 ** -1022, max: Number.MAX_VALUE, noNaN: true });
    const nearOne = fc.double({ min: 0.5, max: 2, noNaN: true });
    fc.assert(
      fc.property(fc.oneof(positive, nearOne), (x) => {
        const want = Math.log(x);
        return abs(kernels.call('log', x) - want) <= abs(want) * 2 ** -51;
      }),
      { numRuns: 2000 },
    );
    const ends = [1, 0, -1, Number.POSITIVE_INFINITY, Number.NaN].map((x) => kernels.call('log', x));
    expect(ends).toEqual([0, Number.NEGATIVE_INFINITY, Number.NaN, Number.POSITIVE_INFINITY, Number.NaN]);
  });
});
