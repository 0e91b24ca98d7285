// GGUF files that lie. A valid one is taken apart into what its bytes say, one thing is changed, and it is put together again
// as it stands: nothing is counted, aligned or checked anew.
import { bytesSource } from '@qlora/tensor';
import { joined } from '@qlora-tooling/fuzz';
import { BytesWriter } from '../bytes-writer';
import { alignTo, GGUF_MAGIC } from '../container';
import { readGguf } from '../reader';
import { type GgufValue, VALUE_TYPES } from '../value';

/** A string and the length that the file says it has. */
export interface ForgedText {
  length: bigint;
  bytes: Uint8Array;
}

/** A metadata entry. */
export interface ForgedEntry {
  key: ForgedText;
  /** The type and what follows it. */
  value: Uint8Array;
}

/** A tensor. */
export interface ForgedTensor {
  name: ForgedText;
  axes: number;
  /** Innermost first, as in the file. */
  lengths: bigint[];
  type: number;
  offset: bigint;
  /** With its padding. */
  data: Uint8Array;
}

/** What a file says. */
export interface Forged {
  magic: number;
  version: number;
  tensorCount: bigint;
  metadataCount: bigint;
  entries: ForgedEntry[];
  tensors: ForgedTensor[];
  /** Alignment of the data; `general.alignment` says the same in a file that does not lie. */
  alignment: number;
}

/** A string of the right length. */
export function forgedText(content: string | Uint8Array): ForgedText {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return { length: BigInt(bytes.length), bytes };
}

/** An entry of the right form. */
export function forgedEntry(key: string, value: GgufValue): ForgedEntry {
  const bytes = new BytesWriter();
  bytes.value(value);
  return { key: forgedText(key), value: bytes.bytes().slice() };
}

/** An array whose length is what somebody says, with some bytes of items. */
export function forgedArray(
  items: keyof typeof VALUE_TYPES,
  length: bigint,
  content: Uint8Array,
): Uint8Array {
  return joined(u32(VALUE_TYPES.array), u32(VALUE_TYPES[items]), u64(length), content);
}

/** A valid file, of alignment 32, taken apart. */
export async function takenApart(bytes: Uint8Array): Promise<Forged> {
  const { version, metadata, tensors } = await readGguf(bytesSource(bytes));
  const start = tensors[0]?.offset ?? bytes.length;
  return {
    magic: GGUF_MAGIC,
    version,
    tensorCount: BigInt(tensors.length),
    metadataCount: BigInt(metadata.size),
    entries: [...metadata].map(([key, value]) => forgedEntry(key, value)),
    tensors: tensors.map(({ name, shape, typeId, offset }, i) => ({
      name: forgedText(name),
      axes: shape.length,
      lengths: [...shape].reverse().map(BigInt),
      type: typeId,
      offset: BigInt(offset - start),
      data: bytes.slice(offset, tensors[i + 1]?.offset ?? bytes.length),
    })),
    alignment: 32,
  };
}

/** A copy that can be changed. */
export function copyOf(file: Forged): Forged {
  return {
    ...file,
    entries: file.entries.map((entry) => ({ key: { ...entry.key }, value: entry.value })),
    tensors: file.tensors.map((tensor) => ({
      ...tensor,
      name: { ...tensor.name },
      lengths: [...tensor.lengths],
    })),
  };
}

/** The header as it stands, without padding. */
export function headerOf(file: Forged): Uint8Array {
  const text = ({ length, bytes }: ForgedText) => [u64(length), bytes];
  const parts = [
    u32(file.magic),
    u32(file.version),
    u64(file.tensorCount),
    u64(file.metadataCount),
    ...file.entries.flatMap(({ key, value }) => [...text(key), value]),
    ...file.tensors.flatMap(({ name, axes, lengths, type, offset }) => [
      ...text(name),
      u32(axes),
      ...lengths.map(u64),
      u32(type),
      u64(offset),
    ]),
  ];
  // Too many for the arguments of a function, where there are too many entries.
  const whole = Buffer.concat(parts);
  return new Uint8Array(whole.buffer, whole.byteOffset, whole.length).slice();
}

/** The file as it stands. */
export function forged(file: Forged): Uint8Array {
  const header = headerOf(file);
  const padding = new Uint8Array(alignTo(header.length, file.alignment) - header.length);
  return joined(header, padding, ...file.tensors.map(({ data }) => data));
}

/** Four bytes, little endian. */
export const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
/** Eight bytes, little endian. */
export const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, value)).buffer);
