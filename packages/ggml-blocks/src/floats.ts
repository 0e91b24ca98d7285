// The types that are no blocks: one value each. ggml rounds f16 and bf16 to nearest, ties to even.
import { bf16ArrayToF32, bytesOf, f16ArrayToF32, f32ArrayToBf16, f32ArrayToF16, viewAs } from '@qlora/tensor';
import type { BlockType } from './contract';
import { checkWhole } from './whole';

/** 32-bit floats. */
export const f32: BlockType = {
  name: 'f32',
  id: 0,
  blockSize: 1,
  blockBytes: 4,
  maxMagnitude: 3.4028234663852886e38,
  encode: (values) => bytesOf(values),
  decode: (bytes) => viewAs('f32', checkWhole(bytes, 4, 'f32')),
};

/** 16-bit IEEE floats. */
export const f16: BlockType = {
  name: 'f16',
  id: 1,
  blockSize: 1,
  blockBytes: 2,
  // The f32 below 65520, which rounds to infinity.
  maxMagnitude: 65519.99609375,
  encode: (values) => bytesOf(f32ArrayToF16(values)),
  decode: (bytes) => f16ArrayToF32(viewAs('f16', checkWhole(bytes, 2, 'f16'))),
};

/** bfloat16. */
export const bf16: BlockType = {
  name: 'bf16',
  id: 30,
  blockSize: 1,
  blockBytes: 2,
  // The f32 with the bits 7f7f7fff.
  maxMagnitude: 3.396177326406364e38,
  encode: (values) => bytesOf(f32ArrayToBf16(values)),
  decode: (bytes) => bf16ArrayToF32(viewAs('bf16', checkWhole(bytes, 2, 'bf16'))),
};
