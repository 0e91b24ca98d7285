// The types that are no blocks: one value each. ggml rounds f16 and bf16 to nearest, ties to even.
import { bf16ArrayToF32, bytesOf, f16ArrayToF32, f32ArrayToBf16, f32ArrayToF16, viewAs } from '@qlora/tensor';
import type { BlockType } from './contract';

/** 32-bit floats. */
export const f32: BlockType = {
  name: 'f32',
  id: 0,
  blockSize: 1,
  blockBytes: 4,
  encode: (values) => bytesOf(values),
  decode: (bytes) => viewAs('f32', bytes),
};

/** 16-bit IEEE floats. */
export const f16: BlockType = {
  name: 'f16',
  id: 1,
  blockSize: 1,
  blockBytes: 2,
  encode: (values) => bytesOf(f32ArrayToF16(values)),
  decode: (bytes) => f16ArrayToF32(viewAs('f16', bytes)),
};

/** bfloat16. */
export const bf16: BlockType = {
  name: 'bf16',
  id: 30,
  blockSize: 1,
  blockBytes: 2,
  encode: (values) => bytesOf(f32ArrayToBf16(values)),
  decode: (bytes) => bf16ArrayToF32(viewAs('bf16', bytes)),
};
