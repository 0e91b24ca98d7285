// A safetensors file as a TensorSource.
import {
  type ByteSource,
  findTensor,
  locate,
  QloraError,
  type TensorInfo,
  type TensorSource,
  viewAs,
} from '@qlora/tensor';
import { dtypeOf } from './dtypes';
import { readSafetensorsHeader } from './header';

/**
 * Opens a safetensors file: the header is read and checked, tensors are read when asked for.
 *
 * Tensors of types that cannot be computed with here (8-bit floats and smaller, complex) are listed in `unreadable`,
 * not in `tensors`, and reading them is refused with the reason.
 *
 * @throws QloraError naming the rule that the file breaks.
 * @example
 * const source = await openSafetensors(bytesSource(bytes));
 * const weight = await source.read('model.embed_tokens.weight');
 */
export async function openSafetensors(
  bytes: ByteSource,
): Promise<TensorSource & { readonly unreadable: ReadonlyMap<string, string> }> {
  const { entries, metadata } = await readSafetensorsHeader(bytes);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const tensors: TensorInfo[] = [];
  const unreadable = new Map<string, string>();
  for (const { name, dtype: fileDType, shape } of entries) {
    const dtype = dtypeOf(fileDType);
    if (dtype) tensors.push({ name, dtype, shape });
    else unreadable.set(name, fileDType);
  }
  const source = {
    label: bytes.label,
    metadata,
    tensors,
    unreadable,
    async read(name: string) {
      const entry = byName.get(name) ?? (findTensor(source, name) as never);
      const dtype = dtypeOf(entry.dtype);
      if (!dtype) {
        throw new QloraError({
          what: `is ${entry.dtype}, which cannot be computed with here`,
          where: [bytes.label, name],
          fix: 'convert the checkpoint to F32, F16 or BF16',
        });
      }
      const raw = await locate(name, () => bytes.read(entry.offset, entry.byteLength));
      return { dtype, shape: entry.shape, data: viewAs(dtype, raw) };
    },
    close: () => bytes.close(),
  };
  return source;
}
