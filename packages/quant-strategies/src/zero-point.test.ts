// Zero-point: held, byte for byte, to its definition written down block by block; and what it gains and costs, beside absmax.
import { centreBlocks } from '@qlora/kernels';
import { codebookCodec } from '@qlora/nf4';
import { random, tensor } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Codec, codecOf, dequantizeTensor, quantizeTensor, scalesOf, zeroPoint } from './index';
import { plainCentre } from './zero-point-reference';

const TINY = Math.fround(1e-38);
const MOST = 2 ** 127;

const expectSame = (actual: ArrayBufferView, expected: ArrayBufferView) => {
  const bytes = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  expect(bytes(actual).compare(bytes(expected))).toBe(0);
};

/** Zero points and scales that may be tried on a block, in their order. */
function mappings(block: Float32Array, blockSize: number, codec: Codec): [zero: number, scale: number][] {
  const min = block.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const max = block.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const middle = Math.fround(min / 2 + max / 2) + 0;
  const half = Math.max(Math.fround(max - middle), Math.fround(middle - min), TINY);
  const tailAbove = sum(block, (value) => Math.fround(value - middle)) < 0;
  const sorted = codec.codebook.slice().sort();
  const absmax: [number, number] = [0, codec.absmax(block, blockSize)[0] ?? 0];
  if (Math.abs(middle) + half >= MOST) return [absmax];
  const found: [number, number][] = [[middle, half]];
  for (const i of [1, 3]) {
    const entry = (tailAbove ? sorted[i] : sorted[sorted.length - 1 - i]) ?? 0;
    const scale = Math.fround((2 * half) / (1 + Math.abs(entry)));
    const near = tailAbove ? middle - half : middle + half;
    found.push([Math.fround(near - Math.fround(entry * scale)) + 0, scale]);
  }
  const usable = found.filter(([zero, scale]) => Math.abs(zero) + scale < MOST);
  return [...usable.map(([zero, scale]): [number, number] => [zero, Math.max(scale, TINY)]), absmax];
}

/** A sum of the values at even places plus one of those at odd ones. */
function sum(values: Float32Array, of: (value: number, i: number) => number): number {
  const both = [0, 0];
  values.forEach((value, i) => {
    both[i % 2]! += of(value, i);
  });
  return both[0]! + both[1]!;
}

/** The definition, a block at a time. */
function byDefinition(values: Float32Array, blockSize: number, codec: Codec) {
  const blocks = Array.from({ length: Math.ceil(values.length / blockSize) }, (_, b) => {
    const block = values.subarray(b * blockSize, (b + 1) * blockSize);
    let best = { error: Number.POSITIVE_INFINITY, zero: 0, scale: 0, codes: new Uint8Array() as Uint8Array };
    for (const [zero, scale] of mappings(block, blockSize, codec)) {
      const scales = Float32Array.of(scale);
      const codes = codec.encode(
        block.map((value) => value - zero),
        scales,
        blockSize,
      );
      const decoded = codec.decode(codes, scales, blockSize, block.length);
      const error = sum(block, (value, i) => (value - (decoded[i]! + zero)) ** 2);
      if (error < best.error) best = { error, zero, scale, codes };
    }
    return best;
  });
  const codes = new Uint8Array(Math.ceil(values.length / 2));
  blocks.forEach((block, b) => {
    codes.set(block.codes, (b * blockSize) / 2);
  });
  return {
    codes,
    zeroPoints: Float32Array.from(blocks, ({ zero }) => zero),
    scales: Float32Array.from(blocks, ({ scale }) => scale),
  };
}

it('the kernel is there', () => {
  const [a, b, c] = [new Float32Array(1), new Float32Array(1), new Float32Array(64)];
  expect(centreBlocks(new Float32Array(64), 64, a, b, c)).toBe(true);
});

describe('zero-point', () => {
  it('is what its definition says, whatever the values, the block size and the codebook', () => {
    const kind = fc.record({
      count: fc.oneof(fc.nat(700), fc.nat(40_000)),
      seed: fc.nat(2 ** 31),
      exponent: fc.integer({ min: -45, max: 38 }),
      power: fc.integer({ min: 1, max: 4 }),
    });
    const draw = ({
      count,
      seed,
      exponent,
      power,
    }: Record<'count' | 'seed' | 'exponent' | 'power', number>) => {
      let state = seed;
      return Float32Array.from({ length: count }, (_, i) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        // Zeros of both signs, too, and blocks of nothing else.
        if (state % 8 === 0 || i % 16384 < 4096) return state % 16 === 0 ? -0 : 0;
        return ((state / 2 ** 32) ** power - 0.3) * 10 ** exponent;
      });
    };
    const blockSize = fc.constantFrom(32, 64, 128, 256, 512, 1024, 2048, 4096);
    const uniform = codebookCodec(
      'uniform',
      Float32Array.from({ length: 16 }, (_, i) => 1 - (2 * i) / 15),
    );
    const codecs = { nf4: codecOf('nf4'), fp4: codecOf('fp4'), uniform };
    const scheme = fc.constantFrom<keyof typeof codecs>('nf4', 'fp4', 'uniform');
    const check = (values: Parameters<typeof draw>[0], size: number, name: keyof typeof codecs) => {
      const [list, codec] = [draw(values), codecs[name]];
      const source = tensor('f32', [list.length], list);
      const quantized = zeroPoint.quantize(source, codec, { blockSize: size, doubleQuant: false });
      const wanted = byDefinition(list, size, codec);
      expectSame(quantized.zeroPoints!, wanted.zeroPoints);
      expectSame(scalesOf(quantized), wanted.scales);
      expectSame(quantized.codes, wanted.codes);
    };
    fc.assert(fc.property(kind, blockSize, scheme, check), {
      numRuns: 200,
    });
  });

  it('gives a constant block back exactly, a short one too', () => {
    for (const count of [64, 7, 70]) {
      for (const value of [0.7, -3e30, 1e-42, 0]) {
        const original = tensor('f32', [count], new Float32Array(count).fill(value));
        for (const doubleQuant of [true, false]) {
          const quantized = quantizeTensor(original, { strategy: 'zero-point', doubleQuant });
          expect([...dequantizeTensor(quantized)]).toEqual([...original.data]);
        }
      }
    }
  });

  it('keeps the zeros of values that are cut off at zero', () => {
    const rng = random(3);
    for (const sign of [1, -1]) {
      const original = Float32Array.from({ length: 6400 }, () => sign * Math.max(0, rng.normal()));
      const quantized = quantizeTensor(tensor('f32', [6400], original), {
        strategy: 'zero-point',
        doubleQuant: false,
      });
      const restored = dequantizeTensor(quantized);
      expect(original.every((value, i) => value !== 0 || restored[i] === 0)).toBe(true);
    }
  });

  it('is finite for values as large as there are', () => {
    const largest = 3.4028234663852886e38;
    const original = Float32Array.from({ length: 128 }, (_, i) => (i % 3) * 0.5 * largest);
    original[5] = -largest;
    const quantized = quantizeTensor(tensor('f32', [128], original), {
      strategy: 'zero-point',
      doubleQuant: false,
    });
    expect(dequantizeTensor(quantized).every(Number.isFinite)).toBe(true);
    expect(dequantizeTensor(quantized)[5]).toBe(-largest);
  });
});

describe('beside absmax', () => {
  const rng = random(11);
  const draw = (of: () => number) => Float32Array.from({ length: 1 << 16 }, of);
  const distributions = {
    normal: draw(() => rng.normal()),
    uniform: draw(() => 2 * rng.uniform() - 1),
    'heavy-tailed': draw(() => rng.normal() / Math.sqrt((rng.normal() ** 2 + rng.normal() ** 2) / 2)),
    exponential: draw(() => -Math.log(1 - rng.uniform())),
    'cut off at zero': draw(() => Math.max(0, rng.normal())),
    lognormal: draw(() => Math.exp(rng.normal())),
    'shifted by one': draw(() => 1 + rng.normal()),
    'shifted by five': draw(() => 5 + rng.normal()),
  };
  /** Squared errors of both strategies, block by block. */
  const errors = (values: Float32Array, scheme: string, blockSize: number, doubleQuant = false) =>
    ['blockwise', 'zero-point'].map((strategy) => {
      const options = { scheme, strategy, blockSize, doubleQuant };
      const restored = dequantizeTensor(quantizeTensor(tensor('f32', [values.length], values), options));
      const sums = new Float64Array(values.length / blockSize);
      values.forEach((value, i) => {
        sums[Math.floor(i / blockSize)]! += (value - restored[i]!) ** 2;
      });
      return sums;
    }) as [Float64Array, Float64Array];
  const total = (sums: Float64Array) => sums.reduce((a, b) => a + b, 0);

  it.each(Object.entries(distributions))('no block is worse off: %s', (_name, values) => {
    for (const scheme of ['nf4', 'fp4']) {
      for (const blockSize of [32, 64, 256, 4096]) {
        const [absmax, offset] = errors(values, scheme, blockSize);
        // Values come back rounded to f32, the error is measured before that.
        expect(offset.every((error, b) => error <= absmax[b]! * (1 + 1e-5) + 1e-12)).toBe(true);
      }
    }
  });

  it('the middle of the range alone would be worse than absmax for what has a long tail', () => {
    const nf4 = codecOf('nf4');
    const ratio = (values: Float32Array) => {
      const blocks = values.length / 64;
      const [middles, scales] = [new Float32Array(blocks), new Float32Array(blocks)];
      const centred = new Float32Array(values.length);
      plainCentre(values, 64, middles, scales, centred);
      const restored = nf4.decode(nf4.encode(centred, scales, 64), scales, 64, values.length);
      const error = centred.reduce((sum, value, i) => sum + (value - restored[i]!) ** 2, 0);
      return error / total(errors(values, 'nf4', 64)[0]);
    };
    expect(ratio(distributions.lognormal)).toBeGreaterThan(1.9);
    expect(ratio(distributions.exponential)).toBeGreaterThan(1.4);
    expect(ratio(distributions.normal)).toBeLessThan(0.98);
  });

  // Measured: what the errors of NF4 in blocks of 64 with scales in 8 bits are, relative to absmax.
  it.each([
    ['normal', 0.86],
    ['uniform', 0.87],
    ['heavy-tailed', 0.89],
    ['exponential', 0.59],
    ['cut off at zero', 0.41],
    ['lognormal', 0.75],
    ['shifted by one', 0.52],
    ['shifted by five', 0.042],
  ] as const)('%s values come back with at most %d of the error', (name, ratio) => {
    const [absmax, offset] = errors(distributions[name], 'nf4', 64, true);
    expect(total(offset) / total(absmax)).toBeLessThan(ratio);
    expect(total(offset) / total(absmax)).toBeGreaterThan(0.9 * ratio);
  });
});
