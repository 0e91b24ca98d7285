// Tensors in parts: what comes out is the tensor quantized whole, and no more of it is read at a time than asked for.
import { elementCount, flatRange, fromFloat32, QloraError, random, type Tensor, tensor } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  codecNames,
  dequantizedParts,
  dequantizeRange,
  dequantizeTensor,
  encodePart,
  type InPartsOptions,
  PART_VALUES,
  type QuantizedTensor,
  quantizeInParts,
  quantizeTensor,
  registerStrategy,
  strategyNames,
  strategyOf,
  type TensorParts,
} from './index';

const normals = (shape: readonly number[], seed = 1) => {
  const rng = random(seed);
  return tensor(
    'f32',
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => rng.normal() + 0.3),
  );
};

/** A tensor that is read in parts, and what was read of it. */
function partsOf(source: Tensor) {
  const reads: [number, number][] = [];
  let inFlight = 0;
  const most = { values: 0 };
  const parts: TensorParts = {
    shape: source.shape,
    dtype: source.dtype,
    async read(start, count) {
      reads.push([start, count]);
      inFlight += count;
      most.values = Math.max(most.values, inFlight);
      await new Promise((resolve) => setTimeout(resolve, start % 3));
      inFlight -= count;
      return flatRange(source, start, count);
    },
  };
  return { parts, reads, most };
}

const shape = fc
  .array(fc.integer({ min: 0, max: 9 }), { maxLength: 2 })
  .chain((outer) => fc.integer({ min: 0, max: 150 }).map((inner) => [...outer, inner]));
const settings = fc.record({
  shape: fc.oneof(shape, fc.constant([])),
  dtype: fc.constantFrom('f32' as const, 'f16' as const, 'bf16' as const, 'f64' as const),
  scheme: fc.constantFrom(...codecNames()),
  strategy: fc.constantFrom(...strategyNames()),
  blockSize: fc.constantFrom(32, 64, 256),
  doubleQuant: fc.boolean(),
  partSize: fc.integer({ min: 1, max: 700 }),
  concurrency: fc.integer({ min: 1, max: 5 }),
});

describe('quantizeInParts', () => {
  it('gives the tensor quantized whole, whatever the parts', async () => {
    const property = fc.asyncProperty(
      settings,
      async ({ shape, dtype, partSize, concurrency, ...config }) => {
        fc.pre(config.strategy !== 'per-channel' || shape.length > 0);
        const source = fromFloat32(dtype, shape, normals(shape).data);
        const given = await quantizeInParts(partsOf(source).parts, { ...config, partSize, concurrency });
        expect(given).toEqual(quantizeTensor(source, config));
        const whole = dequantizeTensor(given);
        const parts = [...dequantizedParts(given, partSize)];
        expect(Float32Array.from(parts.flatMap(({ values }) => [...values]))).toEqual(whole);
        let end = 0;
        for (const { start, values } of parts) {
          expect(start).toBe(end);
          end += values.length;
        }
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });

  it('gives it for every axis of per-channel', async () => {
    for (const axis of [0, 1, 2]) {
      const options = { strategy: 'per-channel', axis, partSize: 30 };
      const source = normals([6, 5, 3]);
      const { parts, reads } = partsOf(source);
      expect(await quantizeInParts(parts, options)).toEqual(quantizeTensor(source, options));
      // Two rows of 15 at a time, or all where an axis runs across rows.
      expect(reads.length).toBe(axis === 0 ? 3 : 1);
    }
  });

  it('reads no more at a time than the parts that were asked for', async () => {
    const { parts, reads, most } = partsOf(normals([40, 100]));
    await quantizeInParts(parts, { partSize: 199, concurrency: 3 });
    expect(reads[0]).toEqual([0, 192]);
    expect(reads[1]).toEqual([192, 192]);
    expect(reads.length).toBe(Math.ceil(4000 / 192));
    expect(most.values).toBe(3 * 192);
  });

  it('reads a unit at least, and four million values by default', async () => {
    const { parts, reads } = partsOf(normals([4, 64]));
    await quantizeInParts(parts, { partSize: 1 });
    expect(reads.map(([, count]) => count)).toEqual([64, 64, 64, 64]);
    const rows = { dtype: 'bf16' as const, shape: [3, PART_VALUES] };
    const sizes: number[] = [];
    await quantizeInParts(
      {
        ...rows,
        async read(_start, count) {
          sizes.push(count);
          return tensor('bf16', [count], new Uint16Array(count));
        },
      },
      { strategy: 'per-channel', name: 'w' },
    );
    expect(sizes).toEqual([PART_VALUES, PART_VALUES, PART_VALUES]);
  });

  it('has parts quantized by someone else, in any order', async () => {
    const source = normals([33, 70]);
    const given: { shape: readonly number[]; start: number | undefined }[] = [];
    const options: InPartsOptions = {
      ...{ strategy: 'per-channel', partSize: 150, concurrency: 4, name: 'w' },
      async encode(part, options) {
        given.push({ shape: part.shape, start: options.start });
        const wait = (7 * given.length) % 5;
        await new Promise((resolve) => setTimeout(resolve, wait));
        return structuredClone(encodePart(structuredClone(part), structuredClone(options)));
      },
    };
    expect(await quantizeInParts(partsOf(source).parts, options)).toEqual(
      quantizeTensor(source, { strategy: 'per-channel' }),
    );
    expect(given).toContainEqual({ shape: [2, 70], start: 140 });
    expect(given).toContainEqual({ shape: [1, 70], start: 32 * 70 });
    expect(given.length).toBe(17);
  });

  it('names the first value that is not finite, counted from the start of the tensor', async () => {
    for (const strategy of strategyNames()) {
      const source = normals([20, 64]);
      source.data[700] = Number.NaN;
      source.data[1100] = Number.POSITIVE_INFINITY;
      const { parts, most } = partsOf(source);
      let read = 0;
      const slow: TensorParts = {
        ...parts,
        async read(start, count) {
          // Later parts are quicker.
          await new Promise((resolve) => setTimeout(resolve, 12 - Math.floor(start / 128)));
          read++;
          return parts.read(start, count);
        },
      };
      const options = { strategy, partSize: 128, concurrency: 9, name: 'layers.3.w' };
      await expect(quantizeInParts(slow, options)).rejects.toThrow(/layers\.3\.w: value 700 is NaN/);
      // All that were begun have ended.
      const ended = read;
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(read).toBe(ended);
      expect(most.values).toBeGreaterThan(128);
    }
  });

  it('begins no part after one has failed', async () => {
    const { parts, reads } = partsOf(normals([20, 64]));
    const encode = () => {
      throw new QloraError({ what: 'no' });
    };
    await expect(quantizeInParts(parts, { partSize: 64, concurrency: 2, encode })).rejects.toThrow(/no/);
    expect(reads.length).toBe(2);
  });

  it('refuses parts that are not what was announced', async () => {
    const { parts } = partsOf(normals([4, 64]));
    const short: TensorParts = {
      ...parts,
      read: async () => tensor('f32', [3], new Float32Array(3)),
    };
    await expect(quantizeInParts(short, { name: 'w', partSize: 64 })).rejects.toThrow(
      /w: 3 f32 values came for 64 f32 ones from value 0 on/,
    );
    const other: TensorParts = { ...parts, dtype: 'bf16' };
    await expect(quantizeInParts(other, { name: 'w' })).rejects.toThrow(
      /256 f32 values came for 256 bf16 ones/,
    );
    const encode = (part: Tensor, options: Parameters<typeof encodePart>[1]) => {
      const encoded = encodePart(part, options);
      return { ...encoded, scales: encoded.scales.subarray(1) };
    };
    await expect(quantizeInParts(parts, { name: 'w', partSize: 128, encode })).rejects.toThrow(
      /w: part from value 0 on: scales: there are 1\. 2 are needed/,
    );
  });

  it('refuses parts of nothing, and none at a time', async () => {
    const { parts } = partsOf(normals([4]));
    await expect(quantizeInParts(parts, { partSize: 0 })).rejects.toThrow(/part size 0/);
    await expect(quantizeInParts(parts, { concurrency: 1.5 })).rejects.toThrow(/concurrency 1\.5/);
    await expect(quantizeInParts(parts, { scheme: 'nf5' })).rejects.toThrow(/no codec named "nf5"/);
  });

  it('takes a strategy that says nothing of units whole', async () => {
    const { unit: _, ...rest } = strategyOf('blockwise');
    registerStrategy({
      ...rest,
      name: 'whole',
      quantize: (source, codec, options) => ({
        ...rest.quantize(source, codec, options),
        strategy: 'whole',
      }),
    });
    const source = normals([5, 64]);
    const { parts, reads } = partsOf(source);
    const given = await quantizeInParts(parts, { strategy: 'whole', partSize: 64 });
    expect(given).toEqual(quantizeTensor(source, { strategy: 'whole' }));
    expect(reads).toEqual([[0, 320]]);
    expect([...dequantizedParts(given, 64)]).toEqual([{ start: 0, values: dequantizeTensor(given) }]);
  });
});

describe('dequantizeRange', () => {
  it('gives a part of what the whole tensor decodes to, wherever it begins and ends', () => {
    const property = fc.property(
      settings,
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
      ({ shape, dtype, partSize: _, concurrency: __, ...config }, [from, to]) => {
        fc.pre(config.strategy !== 'per-channel' || shape.length > 0);
        const given = quantizeTensor(fromFloat32(dtype, shape, normals(shape).data), config);
        const whole = dequantizeTensor(given);
        const start = Math.floor(from * whole.length);
        const count = Math.floor(to * (whole.length - start));
        expect(dequantizeRange(given, start, count)).toEqual(whole.slice(start, start + count));
      },
    );
    fc.assert(property, { numRuns: 150 });
  });
});

describe('a tensor with blocks of another length than is made here', () => {
  // As qlora-rs writes them.
  const odd: QuantizedTensor = {
    scheme: 'nf4',
    strategy: 'blockwise',
    shape: [5, 12],
    dtype: 'f32',
    blockSize: 12,
    codes: Uint8Array.from({ length: 30 }, (_, i) => 37 * i),
    scales: { kind: 'plain', values: Float32Array.of(1, 2, 3, 4, 5) },
  };

  it('is decoded as a whole, for a range of it too', () => {
    const whole = dequantizeTensor(odd);
    expect(dequantizeRange(odd, 7, 30)).toEqual(whole.slice(7, 37));
    expect([...dequantizedParts(odd, 24)]).toEqual([{ start: 0, values: whole }]);
  });

  it('is no more than what it holds, nor is any other', () => {
    for (const tensor of [odd, quantizeTensor(normals([4, 64]))]) {
      expect(() => dequantizeRange(tensor, 250, 7)).toThrow(/values 250 to 257 were asked for/);
      expect(() => dequantizeRange(tensor, -1, 2)).toThrow(/values -1 to 1/);
    }
  });
});

describe('dequantizedParts', () => {
  it('refuses what dequantizeTensor refuses', () => {
    for (const strategy of strategyNames()) {
      const quantized = quantizeTensor(normals([4, 64]), { strategy });
      const damaged = { ...quantized, codes: quantized.codes.subarray(1) };
      expect(() => [...dequantizedParts(damaged)]).toThrow(/bytes of codes/);
    }
    const quantized = quantizeTensor(normals([4, 64]), { strategy: 'zero-point' });
    const { zeroPoints: _, ...without } = quantized;
    expect(() => [...dequantizedParts(without)]).toThrow(/0 zero points/);
    expect(() => [...dequantizedParts(quantized, 0)]).toThrow(/part size 0/);
  });
});
