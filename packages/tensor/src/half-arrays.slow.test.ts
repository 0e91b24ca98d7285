// Rounding to 16 bits held to plain TypeScript for every f32 there is, all 2^32 bit patterns: about a minute.
import { expect, it } from 'vitest';
import { f32ArrayToBf16, f32ArrayToF16 } from './half-arrays';
import { plainF32ToBf16, plainF32ToF16 } from './half-reference';

const PART = 2 ** 22;

it('every f32 is rounded as plain TypeScript rounds it, to f16 and to bf16', () => {
  const words = new Uint32Array(PART);
  const values = new Float32Array(words.buffer);
  const wanted = new Uint16Array(PART);
  const same = (a: Uint16Array, b: Uint16Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
  for (let start = 0; start < 2 ** 32; start += PART) {
    for (let i = 0; i < PART; i++) words[i] = start + i;
    expect(same(f32ArrayToF16(values), plainF32ToF16(values, wanted)), `f16 from ${start}`).toBe(true);
    expect(same(f32ArrayToBf16(values), plainF32ToBf16(values, wanted)), `bf16 from ${start}`).toBe(true);
  }
}, 600_000);
