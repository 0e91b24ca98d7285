// 16-bit floats of arrays in plain TypeScript: what the kernels are held to, and what runs where there are none.
import { bf16OfBits, f16OfBits, f16ToF32 } from './half';

let f16Table: Float32Array | undefined;

/** f32 values of f16 bit patterns. */
export function plainF16ToF32(bits: Uint16Array, out: Float32Array): Float32Array {
  // Many values: a table of 256 KB, built on first use, is several times the speed of the arithmetic.
  if (bits.length > 1024) f16Table ??= Float32Array.from({ length: 65536 }, (_, i) => f16ToF32(i));
  for (let i = 0; i < bits.length; i++) out[i] = f16Table ? f16Table[bits[i]!]! : f16ToF32(bits[i]!);
  return out;
}

/** f16 bit patterns nearest to f32 values. */
export function plainF32ToF16(values: Float32Array, out: Uint16Array): Uint16Array {
  const words = wordsOf(values);
  for (let i = 0; i < words.length; i++) out[i] = f16OfBits(words[i]!);
  return out;
}

/** f32 values of bf16 bit patterns. */
export function plainBf16ToF32(bits: Uint16Array, out: Float32Array): Float32Array {
  const words = wordsOf(out);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return out;
}

/** bf16 bit patterns nearest to f32 values. */
export function plainF32ToBf16(values: Float32Array, out: Uint16Array): Uint16Array {
  const words = wordsOf(values);
  for (let i = 0; i < words.length; i++) out[i] = bf16OfBits(words[i]!);
  return out;
}

function wordsOf({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length);
}
