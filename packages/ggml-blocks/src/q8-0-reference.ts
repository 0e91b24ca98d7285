// The arithmetic of Q8_0 in plain TypeScript: what the kernels are held to, and what runs where there are none.
//
// The codes come from the f32 scale, before it is rounded to f16; halves round away from zero, as C's roundf does. A block
// with NaN has the scale NaN (the positive one) and codes of 0; one with infinity, or whose scale has no finite
// reciprocal, codes of 0.
import { f16ToF32, f32ToF16 } from '@qlora/tensor';

/** Values of a block. */
export const SIZE = 32;
/** Bytes of a block. */
export const BYTES = 34;

/** The blocks of values. */
export function plainEncodeQ8(values: Float32Array, bytes: Uint8Array): void {
  const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let b = 0; b * SIZE < values.length; b++) {
    let max = 0;
    for (let i = b * SIZE; i < (b + 1) * SIZE; i++) max = Math.max(max, Math.abs(values[i]!));
    const scale = Math.fround(max / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    // JavaScript leaves the sign of a computed NaN open.
    const half = Number.isNaN(scale) ? 0x7e00 : f32ToF16(scale);
    bytes[b * BYTES] = half & 255;
    bytes[b * BYTES + 1] = half >> 8;
    for (let i = 0; i < SIZE; i++) {
      const scaled = Math.fround(values[b * SIZE + i]! * inverse);
      codes[b * BYTES + 2 + i] = Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    }
  }
}

/** The values of blocks. */
export function plainDecodeQ8(bytes: Uint8Array, values: Float32Array): void {
  const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let b = 0; b * SIZE < values.length; b++) {
    const scale = f16ToF32(bytes[b * BYTES]! | (bytes[b * BYTES + 1]! << 8));
    for (let i = 0; i < SIZE; i++) values[b * SIZE + i] = codes[b * BYTES + 2 + i]! * scale;
  }
}
