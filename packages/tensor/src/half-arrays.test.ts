// Arrays of 16-bit floats: the kernels held to plain TypeScript, bit for bit. half-arrays.slow.test.ts goes through all f32.
import { widenHalf } from '@qlora/kernels';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { bf16ArrayToF32, f16ArrayToF32, f32ArrayToBf16, f32ArrayToF16 } from './half-arrays';
import { plainBf16ToF32, plainF16ToF32, plainF32ToBf16, plainF32ToF16 } from './half-reference';

const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
/** Bit for bit; as bytes, because vitest's own comparison takes a hundred times as long. */
const bytes = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
const expectSame = (actual: ArrayBufferView, expected: ArrayBufferView) =>
  expect(bytes(actual).compare(bytes(expected))).toBe(0);
const plainWiden = (kind: 'f16' | 'bf16', bits: Uint16Array) =>
  (kind === 'f16' ? plainF16ToF32 : plainBf16ToF32)(bits, new Float32Array(bits.length));

function expectNarrowedAlike(values: Float32Array) {
  const plain = () => new Uint16Array(values.length);
  expectSame(f32ArrayToF16(values), plainF32ToF16(values, plain()));
  expectSame(f32ArrayToBf16(values), plainF32ToBf16(values, plain()));
}

describe('the kernels give the bits of plain TypeScript', () => {
  it('and are there', () => {
    expect(widenHalf('f16', patterns, new Float32Array(65536))).toBe(true);
  });

  it('from every 16-bit pattern', () => {
    expectSame(f16ArrayToF32(patterns), plainWiden('f16', patterns));
    expectSame(bf16ArrayToF32(patterns), plainWiden('bf16', patterns));
  });

  it('to 16 bits: at every exponent and sign, on ties and beside them, and with payloads of NaN', () => {
    const fractions = [
      ...[0, 1, 2, 0x0fff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x2001, 0x2fff, 0x3000, 0x3001],
      ...[0x7fff, 0x8000, 0x8001, 0xffff, 0x10000, 0x17fff, 0x18000, 0x18001],
      ...[0x3fffff, 0x400000, 0x400001, 0x7fe000, 0x7fefff, 0x7ff000, 0x7ff001, 0x7fffff],
    ];
    // Every bit alone too: the bits below the last that is kept move through all places as denormals get smaller.
    for (let bit = 0; bit < 23; bit++) fractions.push(1 << bit, (1 << bit) - 1, (3 << bit) & 0x7fffff);
    const words = new Uint32Array(512 * fractions.length);
    for (let top = 0; top < 512; top++)
      fractions.forEach((fraction, i) => {
        words[top * fractions.length + i] = (top << 23) | fraction;
      });
    expectNarrowedAlike(new Float32Array(words.buffer));
  });

  it('to 16 bits: for any f32 patterns, in any number', () => {
    fc.assert(
      fc.property(fc.uint32Array({ maxLength: 400 }), (words) =>
        expectNarrowedAlike(new Float32Array(words.slice().buffer)),
      ),
    );
  });

  it('for more values than the window holds', () => {
    const words = Uint32Array.from({ length: 40_001 }, (_, i) => Math.imul(i, 2654435761));
    expectNarrowedAlike(new Float32Array(words.buffer));
    const bits = new Uint16Array(words.buffer, 2, 40_001);
    for (const kind of ['f16', 'bf16'] as const) {
      const widen = kind === 'f16' ? f16ArrayToF32 : bf16ArrayToF32;
      expectSame(widen(bits), plainWiden(kind, bits));
    }
  });
});

describe('the array that is written', () => {
  it('may be given, and longer; what lies behind stays', () => {
    const out = new Float32Array(1002).fill(7);
    const bits = patterns.subarray(0x3c00, 0x3c00 + 1000);
    expect(f16ArrayToF32(bits, out)).toBe(out);
    expect([...out.subarray(0, 2), ...out.subarray(1000)]).toEqual([1, 1 + 2 ** -10, 7, 7]);
  });

  it('may be the array that is read', () => {
    const list = Float32Array.from({ length: 50_000 }, (_, i) => i / 8);
    const expected = plainF32ToBf16(list, new Uint16Array(list.length));
    const inPlace = list.slice();
    expectSame(f32ArrayToBf16(inPlace, new Uint16Array(inPlace.buffer, 0, list.length)), expected);
  });

  it('is as short as asked for: values without a place are dropped', () => {
    const out = new Uint16Array(2);
    f32ArrayToBf16(new Float32Array(100).fill(1), out);
    expect([...out]).toEqual([0x3f80, 0x3f80]);
  });

  it('has memory of its own otherwise, of its own size', () => {
    expect(f16ArrayToF32(patterns).buffer.byteLength).toBe(4 * 65536);
    expect(f32ArrayToF16(new Float32Array(1000)).buffer.byteLength).toBe(2000);
  });
});

describe('without WebAssembly', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });
  it('the bits are the same', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    vi.resetModules();
    const alone = await import('./half-arrays');
    const values = f16ArrayToF32(patterns);
    expectSame(alone.f16ArrayToF32(patterns), values);
    expectSame(alone.f32ArrayToF16(values), f32ArrayToF16(values));
    expectSame(alone.f32ArrayToBf16(values), f32ArrayToBf16(values));
    expectSame(alone.bf16ArrayToF32(patterns), bf16ArrayToF32(patterns));
  });
});
