// A safetensors file as a TensorSink. Tensors lie in the order in which the reference implementation puts them (dtype
// descending, then name), so that the bytes are those that it would write.
import {
  type ByteSink,
  byteLength,
  bytesOf,
  elementCount,
  elementSize,
  QloraError,
  type TensorInfo,
  type TensorSink,
} from '@qlora/tensor';
import { fileType } from './dtypes';

/** Options of {@link safetensorsSink}. */
export interface SafetensorsOptions {
  /** Text pairs for `__metadata__`; transformers wants `format: pt`. */
  readonly metadata?: ReadonlyMap<string, string>;
  /**
   * Byte tensors of one axis whose length is known only when they come; their shape in `tensors` is an upper bound.
   * They are kept in memory and put at the end of the file.
   */
  readonly late?: ReadonlySet<string>;
}

/**
 * Opens a file for the given tensors. The header takes its place at once, so each tensor goes to its final position
 * when it is written, in any order.
 *
 * @throws QloraError for a name that is there twice.
 */
export async function safetensorsSink(
  bytes: ByteSink,
  tensors: readonly TensorInfo[],
  options: SafetensorsOptions = {},
): Promise<TensorSink & Required<Pick<TensorSink, 'writeRange'>>> {
  const { metadata = new Map(), late = new Set<string>() } = options;
  const encoder = new TextEncoder();
  const order = [...tensors].sort(
    (a, b) =>
      Number(late.has(a.name)) - Number(late.has(b.name)) ||
      fileType(b.dtype).rank - fileType(a.dtype).rank ||
      compareUtf8(a.name, b.name),
  );
  for (const { name } of order) checkName(name, bytes.label);
  const infos = new Map(order.map((info) => [info.name, info]));
  if (infos.size !== tensors.length) {
    throw new QloraError({ what: 'two tensors have the same name', where: bytes.label });
  }
  const lateBytes = new Map<string, Uint8Array>();
  // Values that are still to come, by tensor.
  const pending = new Map(order.map(({ name, shape }) => [name, elementCount(shape)]));

  /** The header with the late tensors' lengths as they are, or at their bound. */
  const layout = () => {
    // Written by hand: an object would put names that look like numbers first.
    const members: string[] = [];
    if (metadata.size > 0) members.push(`"__metadata__":${textPairs(metadata)}`);
    const offsets = new Map<string, number>();
    let end = 0;
    for (const { name, dtype, shape } of order) {
      const actual = lateBytes.has(name) ? [lateBytes.get(name)?.length ?? 0] : shape;
      const length = byteLength(dtype, actual);
      offsets.set(name, end);
      const entry = { dtype: fileType(dtype).name, shape: actual, data_offsets: [end, end + length] };
      members.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
      end += length;
    }
    return { offsets, json: encoder.encode(`{${members.join(',')}}`) };
  };

  const { offsets, json } = layout();
  const headerLength = Math.ceil(json.length / 8) * 8;

  const announced = (name: string): TensorInfo => {
    const info = infos.get(name);
    if (info && pending.has(name)) return info;
    throw new QloraError({
      what: info ? 'is written twice' : 'was not announced',
      where: [bytes.label, name],
    });
  };

  return {
    async write(name, tensor) {
      const info = announced(name);
      const data = bytesOf(tensor.data);
      const isLate = late.has(name);
      const bound = byteLength(info.dtype, info.shape);
      const shapeFits =
        tensor.shape.length === info.shape.length && tensor.shape.every((n, i) => n === info.shape[i]);
      if (tensor.dtype !== info.dtype || (isLate ? data.length > bound : !shapeFits)) {
        throw new QloraError({
          what: `${tensor.dtype} [${tensor.shape.join(', ')}] came where ${info.dtype} [${info.shape.join(', ')}] was announced`,
          where: [bytes.label, name],
        });
      }
      pending.delete(name);
      if (isLate) lateBytes.set(name, data);
      else await bytes.write(8 + headerLength + (offsets.get(name) ?? 0), data);
    },
    async writeRange(name, start, values) {
      const info = announced(name);
      const total = elementCount(info.shape);
      const left = pending.get(name) ?? 0;
      const count = values.data.length;
      const fits = Number.isSafeInteger(start) && start >= 0 && start + count <= total && count <= left;
      if (values.dtype !== info.dtype || late.has(name) || !fits) {
        throw new QloraError({
          what: `${count} ${values.dtype} values came for place ${start}, where ${left} of ${total} in ${info.dtype} were missing`,
          where: [bytes.label, name],
          fix: late.has(name) ? 'a tensor of unknown length is written whole' : 'write each value once',
        });
      }
      const at = 8 + headerLength + (offsets.get(name) ?? 0) + start * elementSize(info.dtype);
      // Counted before the write, since other parts may come while it goes on.
      if (count === left) pending.delete(name);
      else pending.set(name, left - count);
      await bytes.write(at, bytesOf(values.data));
    },
    async finish() {
      if (pending.size > 0) {
        throw new QloraError({
          what: `${pending.size} announced tensors were not written: ${[...pending.keys()][0]}, …`,
          where: bytes.label,
        });
      }
      const final = layout();
      for (const [name, data] of lateBytes)
        await bytes.write(8 + headerLength + (final.offsets.get(name) ?? 0), data);
      const head = new Uint8Array(8 + headerLength).fill(0x20);
      new DataView(head.buffer).setBigUint64(0, BigInt(headerLength), true);
      head.set(final.json, 8);
      await bytes.write(0, head);
      await bytes.finish();
    },
    abort: () => bytes.abort(),
  };
}

function textPairs(pairs: ReadonlyMap<string, string>): string {
  return `{${[...pairs].map((pair) => pair.map((text) => JSON.stringify(text)).join(':')).join(',')}}`;
}

/** Throws for a name that no reader would find again. */
function checkName(name: string, label: string): void {
  const what =
    name === '__metadata__' ? 'is the name of the metadata' : 'has half of a character in its name';
  // JSON.stringify escapes a lone surrogate, and nothing else beyond ASCII.
  const isBroken = /\\ud[89a-f]/i.test(JSON.stringify(name.replaceAll('\\', '')));
  if (name !== '__metadata__' && !isBroken) return;
  throw new QloraError({ what, where: [label, JSON.stringify(name)], fix: 'give the tensor another name' });
}

/** The order of UTF-8 bytes, in which Rust sorts: that of code points, which UTF-16 units do not have. */
function compareUtf8(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x === y) continue;
    // Surrogates stand for what comes after all that is one unit.
    const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
    return isHigh(x) === isHigh(y) ? x - y : isHigh(x) ? 1 : -1;
  }
  return a.length - b.length;
}
