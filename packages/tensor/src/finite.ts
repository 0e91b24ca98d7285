// NaN and infinity in what is read: found on the raw bits, so that half-precision tensors need no copy in f32.
import { allFinite } from '@qlora/kernels';
import { isFloat } from './dtype';
import { QloraError } from './error';
import { bf16ToF32, f16ToF32 } from './half';
import { readRange, type TensorSource } from './stream';
import { isTensor, type Tensor } from './tensor';

// Below this many values a call into WebAssembly costs more than it saves.
const SMALL = 256;

/** Index of the first value that is NaN or infinite, or -1; always -1 for tensors of integers. */
export function firstNonFinite(tensor: Tensor): number {
  const { dtype, data } = tensor;
  const kind = dtype === 'f32' || dtype === 'f16' || dtype === 'bf16' ? dtype : undefined;
  // The kernel says only whether there is one: that there is none is what nearly always is the case.
  if (kind && data.length >= SMALL && allFinite(kind, data as Float32Array | Uint16Array)) return -1;
  return findNonFinite(tensor);
}

/** {@link firstNonFinite}, value by value. */
function findNonFinite(tensor: Tensor): number {
  if (isTensor(tensor, 'f16')) return tensor.data.findIndex((bits) => (bits & 0x7c00) === 0x7c00);
  if (isTensor(tensor, 'bf16')) return tensor.data.findIndex((bits) => (bits & 0x7f80) === 0x7f80);
  if (isTensor(tensor, 'f32') || isTensor(tensor, 'f64')) {
    const { data } = tensor;
    for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  }
  return -1;
}

/**
 * Throws unless all values are finite.
 * @param where the file and the tensor, for the message.
 * @param start index of the first value, where this is a part of a tensor.
 */
export function requireFinite(tensor: Tensor, where: string | readonly string[], start = 0): void {
  if (!isFloat(tensor.dtype)) return;
  const index = firstNonFinite(tensor);
  if (index < 0) return;
  const raw = Number(tensor.data[index]);
  const value = isTensor(tensor, 'f16') ? f16ToF32(raw) : isTensor(tensor, 'bf16') ? bf16ToF32(raw) : raw;
  throw new QloraError({
    what: `value ${start + index} is ${value}`,
    where,
    fix:
      tensor.dtype === 'f16'
        ? 'the weights are damaged, or too large for f16: fetch them again, or choose bf16 or f32'
        : 'the weights are damaged: fetch them again',
  });
}

/** A source whose reads are refused where they hold a value that is not finite. */
export function finiteSource<S extends TensorSource>(source: S): S {
  return {
    ...source,
    async read(name: string) {
      const tensor = await source.read(name);
      requireFinite(tensor, [source.label, name]);
      return tensor;
    },
    async readRange(name: string, start: number, count: number) {
      const tensor = await readRange(source, name, start, count);
      requireFinite(tensor, [source.label, name], start);
      return tensor;
    },
  };
}
