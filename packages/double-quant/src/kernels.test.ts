// Double quantization with kernels held to its arithmetic in plain TypeScript (double-quant-reference.ts, mean.ts).
import { cascadeSums, doubleQuantizeBlocks } from '@qlora/kernels';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { codeTable, plainDoubleDequantize, plainDoubleQuantize } from './double-quant-reference';
import { createDynamicMap, doubleDequantize, doubleQuantize } from './index';
import { plainCascade } from './mean';

const blockSize = fc.constantFrom(1, 2, 4, 8, 16, 32, 256, 4096, 16384, 32768);

/** Scales of a rule that gets random numbers from 0 to 1. */
const scales = (rule: (random: number, index: number) => number) =>
  fc.tuple(fc.oneof(fc.nat(600), fc.nat(40_000)), fc.nat(2 ** 31)).map(([count, seed]) => {
    let state = seed;
    return Float32Array.from({ length: count }, (_, i) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return rule(state / 2 ** 32, i);
    });
  });

/** Large arrays are compared as bytes: vitest's own comparison takes a hundred times as long. */
const bytes = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
const expectSame = (actual: ArrayBufferView, expected: ArrayBufferView) =>
  expect(bytes(actual).compare(bytes(expected))).toBe(0);

function expectSameAsPlain(values: Float32Array, size: number) {
  const quantized = doubleQuantize(values, { blockSize: size });
  const codes = new Uint8Array(values.length);
  const nested = new Float32Array(Math.ceil(values.length / size));
  plainDoubleQuantize(values, size, quantized.offset, codes, nested);
  expectSame(quantized.codes, codes);
  expectSame(quantized.nestedAbsmax, nested);
  const restored = new Float32Array(values.length);
  plainDoubleDequantize(codes, nested, size, quantized.offset, quantized.map, restored);
  expectSame(doubleDequantize(quantized), restored);
}

describe('the kernels give the bytes of plain TypeScript', () => {
  it('and are there', () => {
    const done = doubleQuantizeBlocks(
      new Float32Array(256),
      256,
      0,
      codeTable(),
      new Uint8Array(256),
      new Float32Array(1),
    );
    expect(done).toBe(true);
  });

  it('for scales as weights have them', () => {
    fc.assert(
      fc.property(
        scales((random) => 0.05 + 0.05 * random),
        blockSize,
        expectSameAsPlain,
      ),
    );
  });

  it('for scales of very different sizes, and of one size', () => {
    fc.assert(
      fc.property(
        scales((random) => 10 ** (70 * random - 38)),
        blockSize,
        expectSameAsPlain,
      ),
    );
    fc.assert(
      fc.property(
        scales((random, i) => (i < 5000 ? 3 : random)),
        blockSize,
        expectSameAsPlain,
      ),
    );
    expectSameAsPlain(new Float32Array(1000), 256);
  });

  it('for distances from the mean that overflow', () => {
    const huge = Float32Array.from({ length: 512 }, (_, i) => (i === 300 ? 3.4e38 : i < 3 ? -3.4e38 : 0));
    // The plain sums of so large numbers overflow in any order but this one.
    const offset = -2e36;
    for (const list of [huge, new Float32Array(512).fill(3.4e38)]) {
      const kernel = { codes: new Uint8Array(512), nested: new Float32Array(2) };
      const plain = { codes: new Uint8Array(512), nested: new Float32Array(2) };
      doubleQuantizeBlocks(list, 256, -3e38, codeTable(), kernel.codes, kernel.nested);
      plainDoubleQuantize(list, 256, Math.fround(-3e38), plain.codes, plain.nested);
      expect(kernel).toEqual(plain);
      doubleQuantizeBlocks(list, 256, Math.fround(offset), codeTable(), kernel.codes, kernel.nested);
      plainDoubleQuantize(list, 256, Math.fround(offset), plain.codes, plain.nested);
      expect(kernel).toEqual(plain);
    }
  });

  it('for every bin and both of its ends', () => {
    // Distances with the largest 1, so that the products are the distances themselves.
    const list = new Float32Array(4 * 65536);
    for (let bin = 0; bin < 65536; bin++) {
      const edge = Math.fround(((bin - 0.5) / 65535) * 2 - 1);
      list.set([edge, edge + 2 ** -24, edge - 2 ** -24, (bin / 65535) * 2 - 1], 4 * bin);
    }
    for (let i = 0; i < list.length; i += 16) list[i] = 1;
    const blocks = list.length / 16;
    const kernel = { codes: new Uint8Array(list.length), nested: new Float32Array(blocks) };
    const plain = { codes: new Uint8Array(list.length), nested: new Float32Array(blocks) };
    doubleQuantizeBlocks(list, 16, 0, codeTable(), kernel.codes, kernel.nested);
    plainDoubleQuantize(list, 16, 0, plain.codes, plain.nested);
    expectSame(kernel.codes, plain.codes);
    expectSame(kernel.nested, plain.nested);
  });

  it('for offsets that are no f32 numbers, as a file may hold them', () => {
    const quantized = { ...doubleQuantize(new Float32Array(512).map((_, i) => i)), offset: 0.1 };
    const restored = new Float32Array(512);
    const { codes, nestedAbsmax, map } = quantized;
    plainDoubleDequantize(codes, nestedAbsmax, 256, 0.1, map, restored);
    expect(doubleDequantize(quantized)).toEqual(restored);
  });

  it('for the sums of the mean, whatever the number of rows', () => {
    const list = Float32Array.from({ length: 32 * 5000 }, (_, i) => Math.fround(Math.sin(i) * 2 ** (i % 40)));
    fc.assert(
      fc.property(fc.oneof(fc.nat(200), fc.nat(5000)), fc.constantFrom(4, 5, 6), (rows, power) => {
        expect(cascadeSums(list, rows, power)).toEqual(plainCascade(list, rows, power));
      }),
    );
    // So many rows that the fourth level is used too.
    const many = Float32Array.from({ length: 32 * 70_000 }, (_, i) => (i % 1009) / 7);
    expect(cascadeSums(many, 70_000, 4)).toEqual(plainCascade(many, 70_000, 4));
  });
});

it('what is returned stays as it is', () => {
  const first = doubleQuantize(new Float32Array(512).map((_, i) => i));
  const copy = structuredClone(first);
  const restored = doubleDequantize(first);
  const again = restored.slice();
  doubleDequantize(doubleQuantize(new Float32Array(512).map((_, i) => 512 - i)));
  expect(first).toEqual(copy);
  expect(restored).toEqual(again);
  expect(first.map).toBe(createDynamicMap());
});

describe('without WebAssembly', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });
  it('the bytes are the same', async () => {
    const list = Float32Array.from({ length: 40_000 }, (_, i) => 2 + Math.sin(i));
    vi.stubGlobal('WebAssembly', undefined);
    vi.resetModules();
    const alone = await import('./index');
    const quantized = alone.doubleQuantize(list);
    expect(quantized).toEqual(doubleQuantize(list));
    expect(alone.doubleDequantize(quantized)).toEqual(doubleDequantize(quantized));
  });
});
