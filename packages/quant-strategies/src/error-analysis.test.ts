// Errors in numbers: against their definitions, whatever the parts.
import { fromFloat32, random, tensor } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addErrors,
  combineErrors,
  compareSchemes,
  compareSchemesInParts,
  createErrorSums,
  dequantizeTensor,
  errorFigures,
  quantizedByteLength,
  quantizeTensor,
  type Scheme,
} from './index';

const normals = (count: number, seed = 1) => {
  const rng = random(seed);
  return Float32Array.from({ length: count }, () => rng.normal());
};

describe('sums', () => {
  it('are those of the definitions', () => {
    const sums = addErrors(createErrorSums(), Float32Array.of(1, -2, 3), Float32Array.of(1.5, -2, 1), 6);
    expect(sums).toEqual({ values: 3, bytes: 6, squaredError: 4.25, squaredValue: 14, maxError: 2 });
    expect(errorFigures(sums)).toEqual({
      values: 3,
      bytes: 6,
      bitsPerValue: 16,
      meanSquaredError: 4.25 / 3,
      maxError: 2,
      relativeError: Math.sqrt(4.25 / 14),
      signalToNoise: 10 * Math.log10(14 / 4.25),
    });
  });

  it('do not depend on where values are cut', () => {
    const [original, restored] = [normals(1000), normals(1000, 2)];
    const whole = addErrors(createErrorSums(), original, restored, 1000);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1000 })), (cuts) => {
        const ends = [0, ...cuts.sort((a, b) => a - b), 1000];
        let sums = { ...createErrorSums(), bytes: 1000 };
        for (let i = 1; i < ends.length; i++) {
          const [start, end] = [ends[i - 1], ends[i]];
          sums = addErrors(sums, original.subarray(start, end), restored.subarray(start, end));
        }
        expect(sums).toEqual(whole);
      }),
    );
  });

  it('of tensors add up to those of a model', () => {
    const parts = [3, 50, 1].map((count, i) =>
      addErrors(createErrorSums(), normals(count, i), normals(count, i + 7), count),
    );
    const total = combineErrors(parts);
    expect(total.values).toBe(54);
    expect(total.bytes).toBe(54);
    expect(total.maxError).toBe(Math.max(...parts.map(({ maxError }) => maxError)));
    expect(total.squaredError).toBeCloseTo(
      parts.reduce((sum, { squaredError }) => sum + squaredError, 0),
      10,
    );
    expect(combineErrors([])).toEqual(createErrorSums());
  });

  it('show NaN', () => {
    const sums = addErrors(createErrorSums(), Float32Array.of(1, 2), Float32Array.of(Number.NaN, 2));
    expect(addErrors(sums, Float32Array.of(5), Float32Array.of(1)).maxError).toBeNaN();
    expect(combineErrors([createErrorSums(), sums]).maxError).toBeNaN();
    expect(errorFigures(sums).meanSquaredError).toBeNaN();
    expect(errorFigures(sums).signalToNoise).toBeNaN();
  });
});

describe('figures', () => {
  const of = (original: number[], restored: number[]) =>
    errorFigures(addErrors(createErrorSums(), Float32Array.from(original), Float32Array.from(restored)));
  it('of values that come back exactly have no noise, zeros too', () => {
    for (const values of [[1, 2], [0, 0], []]) {
      const { signalToNoise, relativeError, meanSquaredError, maxError } = of(values, values);
      expect([signalToNoise, relativeError, meanSquaredError, maxError]).toEqual([
        Number.POSITIVE_INFINITY,
        0,
        0,
        0,
      ]);
    }
  });
  it('of zeros that do not have nothing else', () => {
    const { signalToNoise, relativeError } = of([0, 0], [0, 1]);
    expect([signalToNoise, relativeError]).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });
  it('are 20 dB where the error is a tenth', () => {
    const { signalToNoise, relativeError } = of([10, -10], [9, -11]);
    expect(signalToNoise).toBeCloseTo(20, 12);
    expect(relativeError).toBeCloseTo(0.1, 12);
  });
});

describe('compareSchemes', () => {
  const schemes: Scheme[] = [
    {},
    { scheme: 'fp4', doubleQuant: false },
    { strategy: 'zero-point', blockSize: 32 },
    { strategy: 'per-channel', axis: 1 },
  ];
  const source = tensor('f32', [40, 50], normals(2000));

  it('gives the figures of each scheme, in order, complete', () => {
    const found = compareSchemes(source, schemes);
    expect(found.map(({ config }) => config)).toEqual([
      { scheme: 'nf4', strategy: 'blockwise', blockSize: 64, doubleQuant: true },
      { scheme: 'fp4', strategy: 'blockwise', blockSize: 64, doubleQuant: false },
      { scheme: 'nf4', strategy: 'zero-point', blockSize: 32, doubleQuant: true },
      { scheme: 'nf4', strategy: 'per-channel', blockSize: 64, doubleQuant: true, axis: 1 },
    ]);
    found.forEach(({ sums, figures }, i) => {
      const quantized = quantizeTensor(source, schemes[i]);
      const bytes = quantizedByteLength(quantized);
      expect(sums).toEqual(addErrors(createErrorSums(), source.data, dequantizeTensor(quantized), bytes));
      expect(figures).toEqual(errorFigures(sums));
      expect(figures.bitsPerValue).toBe((8 * bytes) / 2000);
    });
  });

  it('is data that JSON keeps', () => {
    const found = compareSchemes(source, schemes);
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
  });

  it('gives the same of parts', async () => {
    for (const dtype of ['f32', 'bf16', 'f64'] as const) {
      const typed = fromFloat32(dtype, source.shape, source.data);
      const parts = {
        ...{ shape: typed.shape, dtype },
        read: async (start: number, count: number) =>
          fromFloat32(dtype, [count], source.data.subarray(start, start + count)),
      };
      const found = await compareSchemesInParts(parts, schemes, { partSize: 128, concurrency: 2 });
      expect(found).toEqual(compareSchemes(typed, schemes));
    }
  });

  it('refuses what cannot be quantized, by name', async () => {
    const damaged = tensor('f32', [2], Float32Array.of(1, Number.NaN));
    expect(() => compareSchemes(damaged, schemes, { name: 'w' })).toThrow(/w: value 1 is NaN/);
    expect(() => compareSchemes(source, [{ scheme: 'nf5' }])).toThrow(/no codec named "nf5"/);
  });
});
