// f16 numbers in blocks: two bytes, the lower first, at any address.
import { f16ToF32, f32ToF16 } from '@qlora/tensor';

/** Writes the f16 nearest to `value`; an infinite one from 65520 on. */
export function putHalf(bytes: Uint8Array, at: number, value: number): void {
  const half = f32ToF16(value);
  bytes[at] = half & 255;
  bytes[at + 1] = half >> 8;
}

/** The f32 value of an f16. */
export function getHalf(bytes: Uint8Array, at: number): number {
  return f16ToF32(bytes[at]! | (bytes[at + 1]! << 8));
}
