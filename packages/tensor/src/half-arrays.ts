// f16 and bf16 for arrays: the kernels of @qlora/kernels where there is SIMD, else the plain loops of half-reference.ts,
// with the same bits.
import { narrowHalf, widenHalf } from '@qlora/kernels';
import { plainBf16ToF32, plainF16ToF32, plainF32ToBf16, plainF32ToF16 } from './half-reference';

// Below this many values a call into WebAssembly costs more than it saves.
const SMALL = 256;

/** f32 values of f16 bit patterns, into `out` if it is given. */
export function f16ArrayToF32(bits: Uint16Array, out = new Float32Array(bits.length)): Float32Array {
  return bits.length >= SMALL && widenHalf('f16', bits, out) ? out : plainF16ToF32(bits, out);
}

/** f16 bit patterns nearest to f32 values, into `out` if it is given. */
export function f32ArrayToF16(values: Float32Array, out = new Uint16Array(values.length)): Uint16Array {
  return values.length >= SMALL && narrowHalf('f16', values, out) ? out : plainF32ToF16(values, out);
}

/** f32 values of bf16 bit patterns, into `out` if it is given. */
export function bf16ArrayToF32(bits: Uint16Array, out = new Float32Array(bits.length)): Float32Array {
  return bits.length >= SMALL && widenHalf('bf16', bits, out) ? out : plainBf16ToF32(bits, out);
}

/** bf16 bit patterns nearest to f32 values, into `out` if it is given. */
export function f32ArrayToBf16(values: Float32Array, out = new Uint16Array(values.length)): Uint16Array {
  return values.length >= SMALL && narrowHalf('bf16', values, out) ? out : plainF32ToBf16(values, out);
}
