// What is finite and what is not, in every float type.
import { expect, it } from 'vitest';
import {
  bf16ArrayToF32,
  f16ArrayToF32,
  finiteSource,
  firstNonFinite,
  fromFloat32,
  memorySource,
  requireFinite,
  tensor,
} from './index';

const types = ['f64', 'f32', 'f16', 'bf16'] as const;

it.each(types)('finds NaN and both infinities in %s', (dtype) => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    expect(firstNonFinite(fromFloat32(dtype, [4], Float32Array.of(1, -2, value, 0)))).toBe(2);
  }
});

it.each(['f32', 'f16', 'bf16'] as const)('finds it at any place of a large array of %s', (dtype) => {
  const count = 16384 + 77;
  const whole = fromFloat32(dtype, [count], new Float32Array(count).fill(-3));
  expect(firstNonFinite(whole)).toBe(-1);
  const infinity = fromFloat32(dtype, [1], Float32Array.of(Number.NEGATIVE_INFINITY)).data[0]!;
  for (const place of [0, 1, 15, 100, 16383, 16384, 16390, count - 2, count - 1]) {
    const data = whole.data.slice() as Float32Array;
    data[place] = Number(infinity);
    expect(firstNonFinite({ ...whole, data })).toBe(place);
  }
  // A large finite value, left in the window, is not taken for one of a shorter array.
  const largest = { f32: 3.4e38, f16: 65504, bf16: 3.3e38 }[dtype];
  expect(firstNonFinite(fromFloat32(dtype, [101], new Float32Array(101).fill(largest)))).toBe(-1);
});

it('agrees with the decoded value for every half-precision bit pattern', () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const decoded = { f16: f16ArrayToF32(bits), bf16: bf16ArrayToF32(bits) };
  for (const dtype of ['f16', 'bf16'] as const) {
    const wrong = [...bits].filter((pattern) => {
      const found = firstNonFinite(tensor(dtype, [1], Uint16Array.of(pattern))) === 0;
      return found === Number.isFinite(decoded[dtype][pattern]);
    });
    expect(wrong).toEqual([]);
  }
});

it('lets integers pass', () => {
  expect(firstNonFinite(tensor('u8', [2], Uint8Array.of(255, 0)))).toBe(-1);
  expect(() => requireFinite(tensor('u8', [1], Uint8Array.of(255)), 'x')).not.toThrow();
});

it('a finite source says which tensor and value is wrong, and hands on the others', async () => {
  const good = tensor('f32', [1], Float32Array.of(1));
  const bad = tensor('bf16', [2], Uint16Array.of(0x3f80, 0x7f80));
  const source = finiteSource(memorySource(Object.entries({ good, bad }), { label: 'file' }));
  expect(await source.read('good')).toBe(good);
  await expect(source.read('bad')).rejects.toThrow('file: bad: value 1 is Infinity.');
});
