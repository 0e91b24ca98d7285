// 16-bit floats over all of their bit patterns, and rounding at the places where it is easy to get wrong.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './half';
import { bf16ArrayToF32, f16ArrayToF32 } from './half-arrays';

const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
const isNaNPattern = (bits: number, exponent: number) =>
  (bits & exponent) === exponent && (bits & ~(exponent | 0x8000)) !== 0;

describe('every bit pattern comes back from f32', () => {
  it('f16', () => {
    const values = f16ArrayToF32(patterns);
    for (const bits of patterns) {
      if (isNaNPattern(bits, 0x7c00)) expect(values[bits]).toBeNaN();
      else expect(f32ToF16(values[bits] ?? 0)).toBe(bits);
    }
  });

  it('bf16', () => {
    const values = bf16ArrayToF32(patterns);
    for (const bits of patterns) {
      if (isNaNPattern(bits, 0x7f80)) expect(values[bits]).toBeNaN();
      else expect(f32ToBf16(values[bits] ?? 0)).toBe(bits);
    }
  });
});

describe('rounding to f16', () => {
  it('goes to the even neighbour from the middle', () => {
    expect(f16ToF32(f32ToF16(1 + 2 ** -11))).toBe(1);
    expect(f16ToF32(f32ToF16(1 + 3 * 2 ** -11))).toBe(1 + 2 ** -9);
  });
  it('overflows to infinity from 65520 on', () => {
    expect(f16ToF32(f32ToF16(65519.99))).toBe(65504);
    expect(f16ToF32(f32ToF16(65520))).toBe(Number.POSITIVE_INFINITY);
    expect(f16ToF32(f32ToF16(-1e9))).toBe(Number.NEGATIVE_INFINITY);
  });
  it('keeps denormals and signed zeros', () => {
    expect(f16ToF32(f32ToF16(2 ** -24))).toBe(2 ** -24);
    expect(f16ToF32(f32ToF16(2 ** -25))).toBe(0);
    expect(Object.is(f16ToF32(f32ToF16(-0)), -0)).toBe(true);
  });
  it('is never further than half a unit of the result', () => {
    fc.assert(
      fc.property(fc.float({ min: -65000, max: 65000, noNaN: true }), (value) => {
        const unit = 2 ** Math.max(-24, Math.floor(Math.log2(Math.abs(value) || 1)) - 10);
        expect(Math.abs(f16ToF32(f32ToF16(value)) - value)).toBeLessThanOrEqual(unit / 2);
      }),
    );
  });
});

it('bf16 rounds to nearest, ties to even, and keeps NaN', () => {
  expect(bf16ToF32(f32ToBf16(1 + 2 ** -8))).toBe(1);
  expect(bf16ToF32(f32ToBf16(1 + 3 * 2 ** -8))).toBe(1 + 2 ** -6);
  expect(bf16ToF32(f32ToBf16(Number.NaN))).toBeNaN();
  expect(bf16ToF32(f32ToBf16(3.4e38))).toBe(Number.POSITIVE_INFINITY);
});
