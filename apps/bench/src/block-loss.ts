// What a ggml type loses of given values.
import type { BlockType } from '@qlora/ggml-blocks';

/** Bits that a value takes, scales counted. */
export function bitsOf(type: BlockType): number {
  return (8 * type.blockBytes) / type.blockSize;
}

/** The sum of the squares of the differences. */
export function squaredError(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

/** How much stronger values are than an error that squares add up for, in decibels; infinite if there is none. */
export function decibels(values: Float32Array, error: number): number {
  let sum = 0;
  for (const value of values) sum += value ** 2;
  return 10 * Math.log10(sum / error);
}
