// The types that are no blocks: one value each. ggml rounds f16 and bf16 to nearest, ties to even.
import {
  bf16ArrayToF32,
  bytesOf,
  f16ArrayToF32,
  f32ArrayToBf16,
  f32ArrayToF16,
  firstNonFinite,
  tensor,
  viewAs,
} from '@qlora/tensor';
import type { BlockType } from './contract';
import { refuseImportance } from './define';
import { checkWhole } from './whole';

/** 32-bit floats. */
export const f32: BlockType = {
  name: 'f32',
  id: 0,
  blockSize: 1,
  blockBytes: 4,
  maxMagnitude: 3.4028234663852886e38,
  takesImportance: false,
  encode(values, { importance } = {}) {
    refuseImportance('f32', importance);
    return bytesOf(values);
  },
  decode: (bytes) => viewAs('f32', checkWhole(bytes, 4, 'f32')),
  firstInvalid: (bytes) => firstInvalid('f32', bytes),
};

/** 16-bit IEEE floats. */
export const f16: BlockType = {
  name: 'f16',
  id: 1,
  blockSize: 1,
  blockBytes: 2,
  // The f32 below 65520, which rounds to infinity.
  maxMagnitude: 65519.99609375,
  takesImportance: false,
  encode(values, { importance } = {}) {
    refuseImportance('f16', importance);
    return bytesOf(f32ArrayToF16(values));
  },
  decode: (bytes) => f16ArrayToF32(viewAs('f16', checkWhole(bytes, 2, 'f16'))),
  firstInvalid: (bytes) => firstInvalid('f16', bytes),
};

/** bfloat16. */
export const bf16: BlockType = {
  name: 'bf16',
  id: 30,
  blockSize: 1,
  blockBytes: 2,
  // The f32 with the bits 7f7f7fff.
  maxMagnitude: 3.396177326406364e38,
  takesImportance: false,
  encode(values, { importance } = {}) {
    refuseImportance('bf16', importance);
    return bytesOf(f32ArrayToBf16(values));
  },
  decode: (bytes) => bf16ArrayToF32(viewAs('bf16', checkWhole(bytes, 2, 'bf16'))),
  firstInvalid: (bytes) => firstInvalid('bf16', bytes),
};

function firstInvalid(dtype: 'f32' | 'f16' | 'bf16', bytes: Uint8Array): number {
  const values = viewAs(dtype, checkWhole(bytes, dtype === 'f32' ? 4 : 2, dtype));
  return firstNonFinite(tensor(dtype, [values.length], values));
}
