// Q8_0 with kernels held to its arithmetic in plain TypeScript (q8-0-reference.ts), byte for byte, also for values that
// encoding refuses.
import { encodeQ8Blocks } from '@qlora/kernels';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { q8_0 } from './q8-0';
import { plainDecodeQ8, plainEncodeQ8 } from './q8-0-reference';

/** JavaScript leaves the bits of a computed NaN open. */
const oneNaN = (values: Float32Array) =>
  new Uint32Array(values.map((value) => (Number.isNaN(value) ? Number.NaN : value)).buffer);

/** Large arrays are compared as bytes: vitest's own comparison takes a hundred times as long. */
const bytesOf = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
const expectSame = (actual: ArrayBufferView, expected: ArrayBufferView) =>
  expect(bytesOf(actual).compare(bytesOf(expected))).toBe(0);

function expectSameAsPlain(values: Float32Array) {
  const bytes = new Uint8Array((values.length / 32) * 34);
  plainEncodeQ8(values, bytes);
  const made = new Uint8Array(bytes.length);
  expect(encodeQ8Blocks(values, made)).toBe(true);
  expectSame(made, bytes);
  const back = new Float32Array(values.length);
  plainDecodeQ8(bytes, back);
  expectSame(oneNaN(q8_0.decode(bytes)), oneNaN(back));
}

/** Whole blocks of values of a rule that gets random numbers from 0 to 1. */
const blocks = (rule: (random: number, index: number, other: number) => number) =>
  fc.tuple(fc.nat(70), fc.nat(2 ** 31)).map(([count, seed]) => {
    let state = seed;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    return Float32Array.from({ length: 32 * count }, (_, i) => rule(next(), i, next()));
  });

const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

describe('the kernels give the bytes of plain TypeScript', () => {
  it('and are there', () => {
    expect(encodeQ8Blocks(new Float32Array(32), new Uint8Array(34))).toBe(true);
  });

  it('for weights of any size, down to those whose scale has no reciprocal', () => {
    const weights = fc
      .tuple(
        blocks((a, _, b) => a + b - 1),
        fc.integer({ min: -45, max: 38 }),
      )
      .map(([list, exponent]) => list.map((value) => value * 10 ** exponent));
    fc.assert(fc.property(weights, expectSameAsPlain), { numRuns: 300 });
  });

  it('for halves, which go away from zero, and the numbers beside them', () => {
    const halves = blocks((random, i, other) => {
      if (i % 32 === 0) return 127;
      floats[0] = Math.floor(random * 254) - 127 + 0.5;
      words[0] = words[0]! + Math.floor(other * 3) - 1;
      return floats[0];
    });
    fc.assert(fc.property(halves, expectSameAsPlain));
  });

  it('for any bits: NaN, infinities, denormals', () => {
    const anyBits = blocks((random) => {
      words[0] = random * 2 ** 32;
      return floats[0]!;
    });
    const few = blocks((a, i, b) =>
      a < 0.01 ? [Number.NaN, -Number.NaN, Infinity, -Infinity, -0][i % 5]! : b - 0.5,
    );
    fc.assert(fc.property(fc.oneof(anyBits, few), expectSameAsPlain));
  });

  it('for any bytes when decoding', () => {
    const bytes = fc
      .nat(60)
      .chain((count) => fc.uint8Array({ minLength: 34 * count, maxLength: 34 * count }));
    fc.assert(
      fc.property(bytes, (list) => {
        const wanted = new Float32Array((list.length / 34) * 32);
        plainDecodeQ8(list, wanted);
        expectSame(oneNaN(q8_0.decode(list)), oneNaN(wanted));
      }),
    );
  });

  it('for every scale that f16 has', () => {
    const list = new Uint8Array(65536 * 34);
    for (let half = 0; half < 65536; half++) {
      list.set([half & 255, half >> 8], 34 * half);
      for (let i = 0; i < 32; i++) list[34 * half + 2 + i] = half + 8 * i;
    }
    const wanted = new Float32Array(65536 * 32);
    plainDecodeQ8(list, wanted);
    expectSame(oneNaN(q8_0.decode(list)), oneNaN(wanted));
  });

  it('for views at odd offsets and shared memory', () => {
    const shared = new Float32Array(new SharedArrayBuffer(4 * 96 + 4), 4, 96);
    shared.set(Float32Array.from({ length: 96 }, (_, i) => Math.sin(i)));
    expectSameAsPlain(shared);
    const bytes = q8_0.encode(shared);
    const odd = new Uint8Array(new ArrayBuffer(bytes.length + 3), 3);
    odd.set(bytes);
    expect(q8_0.decode(odd)).toEqual(q8_0.decode(bytes));
  });

  it('for more blocks than the window holds', () => {
    expectSameAsPlain(Float32Array.from({ length: 32 * 1100 }, (_, i) => Math.sin(i) * i));
  });
});

it('what is returned has memory of its own size, and stays as it is', () => {
  const bytes = q8_0.encode(new Float32Array(320).fill(1));
  const values = q8_0.decode(bytes);
  const copies = [bytes.slice(), values.slice()];
  q8_0.decode(q8_0.encode(new Float32Array(320).fill(-3)));
  expect([bytes, values]).toEqual(copies);
  expect([bytes.buffer.byteLength, values.buffer.byteLength]).toEqual([340, 1280]);
});

describe('without WebAssembly', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });
  it('the bytes are the same', async () => {
    const list = Float32Array.from({ length: 3200 }, (_, i) => Math.sin(i));
    vi.stubGlobal('WebAssembly', undefined);
    vi.resetModules();
    const alone = await import('./q8-0');
    const bytes = alone.q8_0.encode(list);
    expect(bytes).toEqual(q8_0.encode(list));
    expect(alone.q8_0.decode(bytes)).toEqual(q8_0.decode(bytes));
  });
});
