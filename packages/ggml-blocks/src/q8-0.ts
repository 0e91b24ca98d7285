// Q8_0: blocks of 32 values, an f16 scale d = absmax / 127 and 32 signed bytes round(x / d)
// (ggml/src/ggml-quants.c, quantize_row_q8_0_ref and dequantize_row_q8_0). The codes come from the f32 scale, before it
// is rounded to f16; halves round away from zero, as C's roundf does.
import { f16ToF32, f32ToF16 } from '@qlora/tensor';
import type { BlockType } from './contract';
import { checkWhole } from './whole';

const SIZE = 32;
const BYTES = 34;

/** 8.5 bits a value. */
export const q8_0: BlockType = {
  name: 'q8_0',
  id: 8,
  blockSize: SIZE,
  blockBytes: BYTES,
  // 127 times the f32 below 65520: its scale is the last that f16 holds.
  maxMagnitude: 8321039.5,

  encode(values) {
    checkWhole(values, SIZE, 'q8_0');
    const blocks = values.length / SIZE;
    const bytes = new Uint8Array(blocks * BYTES);
    const codes = new Int8Array(bytes.buffer);
    for (let b = 0; b < blocks; b++) {
      let max = 0;
      for (let i = b * SIZE; i < (b + 1) * SIZE; i++) max = Math.max(max, Math.abs(values[i]!));
      const scale = Math.fround(max / 127);
      const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
      const half = f32ToF16(scale);
      bytes[b * BYTES] = half & 255;
      bytes[b * BYTES + 1] = half >> 8;
      for (let i = 0; i < SIZE; i++) {
        const scaled = Math.fround(values[b * SIZE + i]! * inverse);
        codes[b * BYTES + 2 + i] = Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
      }
    }
    return bytes;
  },

  decode(bytes) {
    checkWhole(bytes, BYTES, 'q8_0');
    const blocks = bytes.length / BYTES;
    const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    const values = new Float32Array(blocks * SIZE);
    for (let b = 0; b < blocks; b++) {
      const scale = f16ToF32(bytes[b * BYTES]! | (bytes[b * BYTES + 1]! << 8));
      for (let i = 0; i < SIZE; i++) values[b * SIZE + i] = codes[b * BYTES + 2 + i]! * scale;
    }
    return values;
  },
};
