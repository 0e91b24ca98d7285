// Q8_0: blocks of 32 values, an f16 scale d = absmax / 127 and 32 signed bytes round(x / d)
// (ggml/src/ggml-quants.c, quantize_row_q8_0_ref and dequantize_row_q8_0). Through the kernels of @qlora/kernels where there
// is SIMD, else through the plain loops of q8-0-reference.ts, with the same bytes.
import { decodeQ8Blocks, encodeQ8Blocks } from '@qlora/kernels';
import { defineBlockType } from './define';
import { BYTES, plainDecodeQ8, plainEncodeQ8, SIZE } from './q8-0-reference';

// Below this many values a call into WebAssembly costs more than it saves.
const SMALL = 256;

/** 8.5 bits a value. */
export const q8_0 = defineBlockType(
  {
    ...{ name: 'q8_0', id: 8, blockSize: SIZE, blockBytes: BYTES },
    // 127 times the f32 below 65520: its scale is the last that f16 holds.
    maxMagnitude: 8321039.5,
    scales: { f16: [0] },
  },
  {
    encode(values, bytes) {
      const done = values.length >= SMALL && encodeQ8Blocks(values, bytes);
      if (!done) plainEncodeQ8(values, bytes);
    },
    decode(bytes, values) {
      const done = values.length >= SMALL && decodeQ8Blocks(bytes, values);
      if (!done) plainDecodeQ8(bytes, values);
    },
  },
);
