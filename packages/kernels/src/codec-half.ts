// 16-bit floats to f32 and back, and what brings values of any float type into the window.
import { AT, type Codec, codec, inParts, put, WINDOW } from './codec';

/** How floats lie in memory; the 16-bit kinds are raw bits. */
export type FloatKind = 'f32' | 'f16' | 'bf16';

/** f32 values of 16-bit floats, into `values`. False if nothing was done. */
export function widenHalf(kind: 'f16' | 'bf16', bits: Uint16Array, values: Float32Array): boolean {
  const kernels = usable(bits, values, bits.length);
  if (!kernels) return false;
  inParts(bits.length, WINDOW, (start, length) => {
    load(kernels, kind, bits, start, length);
    put(values, start, kernels.floats.subarray(AT.wide / 4, AT.wide / 4 + length));
  });
  return true;
}

/** The 16-bit floats nearest to f32 values, into `bits`. False if nothing was done. */
export function narrowHalf(kind: 'f16' | 'bf16', values: Float32Array, bits: Uint16Array): boolean {
  const kernels = usable(values, bits, values.length);
  if (!kernels) return false;
  inParts(values.length, WINDOW, (start, length) => {
    load(kernels, 'f32', values, start, length);
    put(bits, start, narrow(kernels, kind, length));
  });
  return true;
}

/** The f32 values at the start of the window, rounded to 16 bits: a view of the window. */
export function narrow(kernels: Codec, kind: 'f16' | 'bf16', length: number): Uint16Array {
  if (kind === 'f16') kernels.narrowF16(AT.wide, AT.narrow, length);
  else kernels.narrowBf16(AT.wide, AT.narrow, length);
  return kernels.halves.subarray(AT.narrow / 2, AT.narrow / 2 + length);
}

/** Part of an array to the window, as f32. */
export function load(
  kernels: Codec,
  kind: FloatKind,
  values: Float32Array | Uint16Array,
  start: number,
  length: number,
): void {
  const part = values.subarray(start, start + length);
  if (kind === 'f32') {
    kernels.floats.set(part, AT.wide / 4);
    return;
  }
  kernels.halves.set(part, AT.narrow / 2);
  if (kind === 'f16') kernels.widenF16(AT.narrow, AT.wide, length);
  else kernels.widenBf16(AT.narrow, AT.wide, length);
}

/** Arrays that overlap are left to the plain loop: it is defined for them, value by value. */
function usable(from: ArrayBufferView, to: Float32Array | Uint16Array, count: number): Codec | false {
  return from.buffer !== to.buffer && to.length >= count && codec();
}
