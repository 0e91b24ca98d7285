// A safetensors file as a TensorSource.
import {
  type ByteSource,
  checkElements,
  type DType,
  elementSize,
  findTensor,
  locate,
  printable,
  QloraError,
  type TensorInfo,
  type TensorSource,
  viewAs,
} from '@qlora/tensor';
import { dtypeOf } from './dtypes';
import { type HeaderEntry, readSafetensorsHeader } from './header';

/** An open safetensors file, or several that make one checkpoint. */
export interface SafetensorsSource extends TensorSource {
  /**
   * Tensors whose type cannot be held here, and the file's name of that type: `F8_E4M3`, `F8_E5M2`,
   * `F8_E8M0`, `F8_E4M3FNUZ`, `F8_E5M2FNUZ`, `F6_E2M3`, `F6_E3M2`, `F4`, `C64`. They are not among `tensors`,
   * and reading them is refused with the reason.
   */
  readonly unreadable: ReadonlyMap<string, string>;
  /** Reads no more of the file than the values that are asked for. */
  readRange(name: string, start: number, count: number): ReturnType<TensorSource['read']>;
}

/**
 * Opens a safetensors file: the header is read and checked, tensors are read when asked for.
 *
 * The values of a tensor are the bytes that `bytes.read` gives, not a copy, wherever they begin at a multiple
 * of the element's size in their buffer: from a file always, from memory (`bytesSource`) where the file has
 * them so. Files of the reference implementation and of this package do, in an array of their own; then a
 * tensor is a view of that array, takes no memory, and whoever writes to it changes the file in memory.
 * Elsewhere the tensor is copied once. Values are not looked at: they may be NaN, and a `bool` other than 0
 * and 1.
 *
 * @throws QloraError whose `rule` names what the file breaks.
 * @example
 * const source = await openSafetensors(bytesSource(bytes));
 * const weight = await source.read('model.embed_tokens.weight');
 */
export async function openSafetensors(bytes: ByteSource): Promise<SafetensorsSource> {
  const { entries, metadata } = await readSafetensorsHeader(bytes);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const tensors: TensorInfo[] = [];
  const unreadable = new Map<string, string>();
  for (const { name, dtype: fileDType, shape } of entries) {
    const dtype = dtypeOf(fileDType);
    if (dtype) tensors.push({ name, dtype, shape });
    else unreadable.set(name, fileDType);
  }
  const entryOf = (name: string): Omit<HeaderEntry, 'dtype'> & { dtype: DType } => {
    const entry = byName.get(name) ?? (findTensor(source, name) as never);
    const dtype = dtypeOf(entry.dtype);
    if (dtype) return { ...entry, dtype };
    throw new QloraError({
      what: `is ${entry.dtype}, which cannot be computed with here`,
      where: [bytes.label, printable(name)],
      fix: 'convert the checkpoint to F32, F16 or BF16',
    });
  };
  const source: SafetensorsSource = {
    label: bytes.label,
    metadata,
    tensors,
    unreadable,
    async read(name) {
      const { dtype, shape, offset, byteLength } = entryOf(name);
      const raw = await locate(printable(name), () => bytes.read(offset, byteLength));
      return { dtype, shape, data: viewAs(dtype, raw) };
    },
    async readRange(name, start, count) {
      const { dtype, shape, offset } = entryOf(name);
      checkElements({ name, dtype, shape }, start, count, bytes.label);
      const size = elementSize(dtype);
      const raw = await locate(printable(name), () => bytes.read(offset + start * size, count * size));
      return { dtype, shape: [count], data: viewAs(dtype, raw) };
    },
    close: () => bytes.close(),
  };
  return source;
}
