// A weight that a checkpoint holds as [in, out] (the Conv1D of GPT-2 and its kin), seen as [out, in]. It is read whole: these
// models are small.
import {
  flatRange,
  type HostArray,
  QloraError,
  readRange,
  type Tensor,
  type TensorInfo,
  type TensorSource,
  zeros,
} from '@qlora/tensor';

/** The tensor with its two axes swapped. */
export function transpose({ dtype, shape, data }: Tensor): Tensor {
  const [rows = 0, columns = 0] = shape;
  if (shape.length !== 2) throw new QloraError({ what: `shape [${shape.join(', ')}] has not two axes` });
  const out = zeros(dtype, data.length) as { [index: number]: number | bigint };
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c] as number | bigint;
  return { dtype, shape: [columns, rows], data: out as unknown as HostArray };
}

/** The shape of a tensor with its two axes swapped. */
export function transposedInfo({ name, dtype, shape }: TensorInfo): TensorInfo {
  return { name, dtype, shape: [...shape].reverse() };
}

/** The source with one tensor transposed, which is read whole for each range of it. */
export function transposedSource(source: TensorSource, name: string): TensorSource {
  return {
    label: source.label,
    metadata: source.metadata,
    tensors: source.tensors.map((info) => (info.name === name ? transposedInfo(info) : info)),
    read: async (key) => (key === name ? transpose(await source.read(key)) : source.read(key)),
    ...(source.readRange
      ? {
          readRange: async (key: string, start: number, count: number) =>
            key === name
              ? flatRange(transpose(await source.read(key)), start, count)
              : readRange(source, key, start, count),
        }
      : {}),
    close: () => source.close(),
  };
}
