// Parses the header of a GGUF file (version 2 or 3, little endian) out of the bytes that were read of it so far. Counts
// and lengths are compared with what the file can hold before anything of their size is made. The rules are those of
// ggml's own reader (ggml/src/gguf.cpp), and stricter where it is lenient; rules.ts has their names and the limits.
import { type BlockLayout, blockLayouts } from '@qlora/ggml-blocks';
import { type ByteSource, printable, QloraError } from '@qlora/tensor';
import { alignTo, GGUF_ALIGNMENT, GGUF_MAGIC, isAlignment, MAX_AXES, MAX_TENSOR_NAME } from './container';
import { type GgufRule, MAX_ENTRIES, MAX_ITEMS, MAX_KEY, MAX_STRING, MAX_TENSORS } from './rules';
import { type GgufScalar, type GgufValue, type ScalarType, VALUE_TYPES } from './value';

// What a tensor's and a metadata entry take at least: their lengths, types and one byte of a key.
const SMALLEST_TENSOR = 8 + 4 + 4 + 8;
const SMALLEST_ENTRY = 8 + 1 + 4 + 1;

const scalarSizes: Readonly<Record<ScalarType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  u64: 8,
  i64: 8,
  f64: 8,
};
const typeNames = new Map<number, keyof typeof VALUE_TYPES>(
  Object.entries(VALUE_TYPES).map(([name, id]) => [id, name as keyof typeof VALUE_TYPES]),
);
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenientDecoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Thrown when the bytes that were read end before the header does. */
export class NeedMore extends Error {}

/** A tensor's entry in the directory, its offset counted from the start of the data. */
export interface DirectoryEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layout: BlockLayout;
  readonly offset: number;
}

/** A parsed header. */
export interface Header {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly alignment: number;
  readonly entries: readonly DirectoryEntry[];
  /** Where the data starts. */
  readonly dataStart: number;
}

/** Parses one header. */
export class HeaderParser {
  readonly #source: ByteSource;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  // Items of all arrays so far.
  #items = 0;

  /** @param bytes the beginning of `source`. */
  constructor(source: ByteSource, bytes: Uint8Array) {
    this.#source = source;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** @throws NeedMore if the bytes do not suffice; QloraError with the rule that is broken. */
  parse(): Header {
    if (this.#u32() !== GGUF_MAGIC) this.refuse('magic', 'does not begin with GGUF', 'name a GGUF file');
    const version = this.#version();
    const tensorCount = this.#count('tensor count', SMALLEST_TENSOR, MAX_TENSORS);
    const metadataCount = this.#count('metadata count', SMALLEST_ENTRY, MAX_ENTRIES);
    const metadata = new Map<string, GgufValue>();
    for (let i = 0; i < metadataCount; i++) {
      const key = this.#name('key');
      if (key === '') this.refuse('empty-key', 'a metadata key is empty');
      if (metadata.has(key)) this.refuse('duplicate-key', 'the key is there twice', undefined, key);
      metadata.set(key, this.#value(key));
    }
    const alignment = this.#alignment(metadata.get('general.alignment'));
    const entries: DirectoryEntry[] = [];
    const names = new Set<string>();
    for (let i = 0; i < tensorCount; i++) {
      const entry = this.#tensor();
      if (names.has(entry.name)) this.refuse('duplicate-tensor', 'is there twice', undefined, entry.name);
      names.add(entry.name);
      entries.push(entry);
    }
    return { version, metadata, alignment, entries, dataStart: alignTo(this.#at, alignment) };
  }

  /** Throws with the rule `gguf/<rule>`. @param where the key or tensor, as the file has it. */
  refuse(rule: GgufRule, what: string, fix?: string, where?: string): never {
    throw new QloraError({
      rule: `gguf/${rule}`,
      what,
      where: [this.#source.label, where === undefined ? undefined : printable(where)],
      ...(fix ? { fix } : {}),
    });
  }

  #version(): number {
    const version = this.#u32();
    if (version === 2 || version === 3) return version;
    // ggml tells the other byte order by the same bits.
    const swapped = version !== 0 && (version & 0xffff) === 0;
    return this.refuse(
      'version',
      swapped ? 'is in big endian' : `version is ${version}`,
      'versions 2 and 3 in little endian are read',
    );
  }

  #alignment(value: GgufValue | undefined): number {
    if (value === undefined) return GGUF_ALIGNMENT;
    if (value.type === 'u32' && isAlignment(value.value)) return value.value;
    return this.refuse(
      'alignment',
      `is ${value.type} ${value.type === 'array' ? '' : printable(String(value.value))}`.trim(),
      'a power of two is needed, as u32',
      'general.alignment',
    );
  }

  #tensor(): DirectoryEntry {
    const name = this.#name('tensor name');
    const axes = this.#u32();
    if (axes > MAX_AXES) this.refuse('axes', `has ${axes} axes`, `ggml holds ${MAX_AXES}`, name);
    const shape: number[] = [];
    for (let i = 0; i < axes; i++) shape.unshift(this.#u64('a length', name));
    if (!Number.isSafeInteger(shape.reduce((a, b) => a * b, 1))) {
      this.refuse('overflow', `shape [${shape.join(', ')}] has more than 2^53 values`, undefined, name);
    }
    const typeId = this.#u32();
    const layout =
      blockLayouts.get(typeId) ??
      this.refuse('tensor-type', `has ggml type ${typeId}`, 'llama.cpp has no such type, or no more', name);
    const row = shape.at(-1) ?? 1;
    if (row % layout.blockSize !== 0) {
      const what = `rows of ${row} are no whole blocks of ${layout.name}`;
      this.refuse('row-length', what, `multiples of ${layout.blockSize} are needed`, name);
    }
    return { name, shape, layout, offset: this.#u64('offset', name) };
  }

  #value(key: string): GgufValue {
    const type = this.#type(key);
    if (type !== 'array') return { type, value: this.#scalar(type, key) } as GgufValue;
    const items = this.#type(key);
    if (items === 'array')
      this.refuse('nested-array', 'is an array of arrays', 'ggml reads flat arrays only', key);
    const count = this.#count('array length', scalarSizes[items], MAX_ITEMS - this.#items, key);
    this.#items += count;
    const value: GgufScalar[] = [];
    for (let i = 0; i < count; i++) value.push(this.#scalar(items, key));
    return { type, items, value };
  }

  #type(key: string): keyof typeof VALUE_TYPES {
    const id = this.#u32();
    return typeNames.get(id) ?? this.refuse('value-type', `has value type ${id}`, '0 to 12 are known', key);
  }

  #scalar(type: ScalarType, key: string): GgufScalar {
    if (type === 'string') return lenientDecoder.decode(this.#string('string', key));
    const at = this.#take(scalarSizes[type]);
    switch (type) {
      case 'u8':
        return this.#view.getUint8(at);
      case 'i8':
        return this.#view.getInt8(at);
      case 'u16':
        return this.#view.getUint16(at, true);
      case 'i16':
        return this.#view.getInt16(at, true);
      case 'u32':
        return this.#view.getUint32(at, true);
      case 'i32':
        return this.#view.getInt32(at, true);
      case 'f32':
        return this.#view.getFloat32(at, true);
      case 'f64':
        return this.#view.getFloat64(at, true);
      case 'u64':
        return this.#view.getBigUint64(at, true);
      case 'i64':
        return this.#view.getBigInt64(at, true);
      case 'bool': {
        const byte = this.#view.getUint8(at);
        return byte > 1 ? this.refuse('bool', `is the byte ${byte}`, '0 or 1 is needed', key) : byte === 1;
      }
    }
  }

  /** A count of at most `limit`, whose items take at least `size` bytes each: more than there is room for is a lie. */
  #count(what: string, size: number, limit: number, where?: string): number {
    const count = this.#u64(what, where);
    const room = this.#source.size - this.#at;
    if (count * size > room) {
      this.refuse('count', `${what} ${count} cannot fit into ${room} bytes`, 'the file is damaged', where);
    }
    if (count > limit) this.refuse('too-many', `${what} is ${count}`, `${limit} are the most`, where);
    return count;
  }

  /** A name in valid UTF-8 without a zero, at which ggml would end it. */
  #name(what: 'key' | 'tensor name'): string {
    const bytes = this.#string(what);
    try {
      const name = strictDecoder.decode(bytes);
      if (!name.includes('\0')) return name;
    } catch {}
    return this.refuse('encoding', `a ${what} is no UTF-8, or has a zero in it`);
  }

  #string(what: 'key' | 'tensor name' | 'string', where?: string): Uint8Array {
    const length = this.#u64(`length of a ${what}`, where);
    const room = this.#source.size - this.#at;
    if (length > room) {
      const lie = `a ${what} of ${length} bytes cannot fit into ${room}`;
      this.refuse('string-length', lie, 'the file is damaged', where);
    }
    if (what === 'tensor name' && length > MAX_TENSOR_NAME) {
      this.refuse('name-length', `a tensor name has ${length} bytes`, `ggml holds ${MAX_TENSOR_NAME}`);
    }
    const limit = what === 'key' ? MAX_KEY : MAX_STRING;
    if (length > limit)
      this.refuse('string-limit', `a ${what} has ${length} bytes`, `${limit} are the most`, where);
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  #u64(what: string, where?: string): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      this.refuse('overflow', `${what} is ${value}`, 'no file is so large: it is damaged', where);
    return Number(value);
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length) throw new NeedMore();
    this.#at += length;
    return start;
  }
}
