// Strategies: that they are worth their bits, and each against its own definition. What all must do is in conformance.test.ts,
// and zero-point has a file of its own.
import { memorySource, random, readRange, tensor } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  codecNames,
  codecOf,
  dequantizeTensor,
  dequantizeToTensor,
  quantizationConfig,
  quantizedByteLength,
  quantizeTensor,
  quantizingSource,
  registerCodec,
  scalesOf,
  strategyNames,
  strategyOf,
} from './index';

const normals = (shape: number[], seed = 1, shift = 0) => {
  const rng = random(seed);
  return tensor(
    'f32',
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal() + shift),
  );
};
const meanSquaredError = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, x, i) => sum + (x - (b[i] ?? 0)) ** 2, 0) / a.length;

describe.each(strategyNames())('%s', (strategy) => {
  describe.each(codecNames())('with %s', (scheme) => {
    it.each([true, false])('comes back close, double quantization %s', (doubleQuant) => {
      for (const shape of [[5, 43], [3, 5, 7], [64], [1, 1], [2, 200]]) {
        const original = normals(shape);
        const quantized = quantizeTensor(original, { scheme, strategy, doubleQuant });
        const back = dequantizeTensor(quantized);
        expect(back.length).toBe(original.data.length);
        const error = meanSquaredError(original.data, back);
        // A sixteen-entry codebook over a normal distribution leaves 1 % to 3 % of its power; a single value none.
        expect(error).toBeLessThan(0.06);
      }
    });
  });
});

describe('blockwise', () => {
  it('runs over row ends: it sees the flattened tensor', () => {
    const original = normals([3, 43]);
    const flat = quantizeTensor(tensor('f32', [129], original.data), { doubleQuant: false });
    expect(quantizeTensor(original, { doubleQuant: false }).codes).toEqual(flat.codes);
  });
});

describe('per-channel', () => {
  it('has one scale for each index of its axis: the largest magnitude there', () => {
    const original = tensor('f32', [2, 3], Float32Array.of(1, -20, 3, 4, 5, -600));
    const rows = quantizeTensor(original, { strategy: 'per-channel', axis: 0, doubleQuant: false });
    const columns = quantizeTensor(original, { strategy: 'per-channel', axis: 1, doubleQuant: false });
    expect([...scalesOf(rows)]).toEqual([20, 600]);
    expect([...scalesOf(columns)]).toEqual([4, 20, 600]);
    expect(dequantizeTensor(columns)[5]).toBe(-600);
  });
  it('keeps a small channel fine beside a large one', () => {
    const original = normals([2, 512]);
    for (let i = 512; i < 1024; i++) original.data[i] = (original.data[i] ?? 0) * 1000;
    const small = (strategy: string) =>
      dequantizeTensor(quantizeTensor(original, { strategy, blockSize: 1024, doubleQuant: false })).subarray(
        0,
        512,
      );
    const error = (strategy: string) => meanSquaredError(original.data.subarray(0, 512), small(strategy));
    expect(error('per-channel')).toBeLessThan(error('blockwise') / 10);
  });
  it('is each channel alone, divided by its largest magnitude and packed', () => {
    const shape = fc.array(fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom(1, 7, 32, 64, 90)), {
      minLength: 1,
      maxLength: 5,
    });
    const check = (shape: number[], seed: number, scheme: string) => {
      const count = shape.reduce((a, b) => a * b, 1);
      fc.pre(count <= 20_000);
      const original = normals(shape, seed);
      // Channels of zeros, and of zeros of both signs.
      if (seed % 3 === 0) original.data.fill(seed % 2 === 0 ? 0 : -0, count >> 1);
      const codec = codecOf(scheme);
      for (const axis of shape.keys()) {
        const stride = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
        const channels = Array.from({ length: shape[axis] ?? 0 }, (_, c) =>
          original.data.filter((_, i) => Math.floor(i / stride) % (shape[axis] ?? 1) === c),
        );
        const peaks = channels.map((channel) =>
          channel.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
        );
        const ones = new Float32Array(channels[0]?.length ?? 0).fill(1);
        const codes = channels.flatMap((channel, c) => [
          ...codec.encode(
            channel.map((value) => value / (peaks[c] || 1)),
            ones,
            4096,
          ),
        ]);
        const quantized = quantizeTensor(original, {
          strategy: 'per-channel',
          ...{ scheme, axis, doubleQuant: false },
        });
        expect(scalesOf(quantized)).toEqual(Float32Array.from(peaks));
        expect(quantized.codes).toEqual(Uint8Array.from(codes));
        const places = peaks.map(() => 0);
        const restored = original.data.map((_, i) => {
          const c = Math.floor(i / stride) % (shape[axis] ?? 1);
          const place = places[c]!++;
          const byte = codes[c * Math.ceil(ones.length / 2) + (place >> 1)]!;
          return codec.codebook[place % 2 === 0 ? byte >> 4 : byte & 15]! * peaks[c]!;
        });
        expect(dequantizeTensor(quantized)).toEqual(restored);
      }
    };
    fc.assert(fc.property(shape, fc.nat(1000), fc.constantFrom('nf4', 'fp4'), check), { numRuns: 60 });
  });
  it('refuses an axis that is not there', () => {
    expect(() => quantizeTensor(normals([4]), { strategy: 'per-channel', axis: 1 })).toThrow(/has no axis 1/);
  });
});

describe('the front', () => {
  it('decodes to the type that the tensor had', () => {
    const half = tensor('bf16', [64], new Uint16Array(64).fill(0x3f80));
    expect(dequantizeToTensor(quantizeTensor(half)).dtype).toBe('bf16');
    expect(dequantizeToTensor(quantizeTensor(half), 'f32').data[0]).toBe(1);
  });
  it('takes 4.127 bits a value at block size 64 with double quantization, 4.5 without', () => {
    const original = normals([512, 512]);
    const bits = (doubleQuant: boolean) =>
      (8 * quantizedByteLength(quantizeTensor(original, { doubleQuant }))) / 512 ** 2;
    expect(bits(true)).toBeCloseTo(4.127, 2);
    expect(bits(false)).toBe(4.5);
  });
  it('names what is known when a name is not', () => {
    expect(() => codecOf('nf5')).toThrow(/no codec named "nf5"\. Known: nf4, fp4/);
    expect(() => strategyOf('x')).toThrow(/Known: blockwise, per-channel, zero-point/);
    expect(() => quantizationConfig({ blockSize: 63 })).toThrow(/block size 63 is not supported/);
  });
  it('takes a codec of a stranger', () => {
    const nf4 = codecOf('nf4');
    registerCodec({ ...nf4, name: 'negated', codebook: nf4.codebook.map((x) => -x) });
    expect(codecNames()).toContain('negated');
    expect(dequantizeTensor(quantizeTensor(normals([64]), { scheme: 'negated' })).length).toBe(64);
    expect(() => registerCodec({ ...nf4, name: 'fp4' })).toThrow(/exists already/);
  });
});

describe('quantizingSource', () => {
  const source = memorySource([
    ['w', normals([4, 64])],
    ['norm', normals([64])],
  ]);
  it('quantizes what it is told and leaves the rest', async () => {
    const quantized = quantizingSource(source, ['w'], { doubleQuant: false });
    expect([...quantized.quantized.keys()]).toEqual(['w']);
    expect((await quantized.read('norm')).data).toEqual((await source.read('norm')).data);
    expect((await quantized.read('w')).data).toEqual(dequantizeTensor(await quantized.readQuantized('w')));
    await expect(quantized.readQuantized('norm')).rejects.toThrow(/is not quantized/);
  });
  it('refuses a name that is not there', () => {
    expect(() => quantizingSource(source, ['x'])).toThrow(/no tensor named "x"/);
  });
  it('reads ranges of what was quantized once', async () => {
    const weight = normals([40, 30]);
    let reads = 0;
    const memory = memorySource([['w', weight]]);
    const source = {
      ...memory,
      readRange: async (name: string, start: number, count: number) => {
        reads += count;
        return readRange(memory, name, start, count);
      },
    };
    const quantized = quantizingSource(source, ['w']);
    const whole = dequantizeTensor(quantizeTensor(weight));
    for (const [start, count] of [
      [0, 100],
      [1100, 100],
      [100, 1000],
    ] as const) {
      const part = await quantized.readRange?.('w', start, count);
      expect(part?.data).toEqual(whole.slice(start, start + count));
    }
    expect(reads).toBe(1200);
    await expect(quantized.readRange?.('w', 1100, 101)).rejects.toThrow(/1100 to 1201 were asked for/);
    // All of it was read, so its codes are gone.
    await quantized.readRange?.('w', 0, 1);
    expect(reads).toBe(2400);
  });
});
