import { blockTypeOf } from '@qlora/ggml-blocks';
import { expect, it } from 'vitest';
import { bitsOf, decibels, squaredError } from './block-loss';

it('counts the bits of scales', () => {
  expect(['f32', 'q8_0', 'q4_K', 'q6_K', 'mxfp4'].map((name) => bitsOf(blockTypeOf(name)))).toEqual([
    32, 8.5, 4.5, 6.5625, 4.25,
  ]);
});

it('measures an error against the values', () => {
  const error = squaredError(Float32Array.of(1, 2, 3), Float32Array.of(1, 2.5, 2));
  expect(error).toBe(1.25);
  expect(decibels(Float32Array.of(5, 10), error)).toBeCloseTo(20, 12);
  expect(decibels(Float32Array.of(1), 0)).toBe(Number.POSITIVE_INFINITY);
});
