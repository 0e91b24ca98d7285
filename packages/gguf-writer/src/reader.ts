// A strict reader of GGUF headers (versions 2 and 3, little endian), for inspecting files and for tests of the writer.
// Counts and lengths are checked against what is left of the file before anything of their size is made.
import { type BlockType, blockTypeById } from '@qlora/ggml-blocks';
import { type ByteSource, elementCount, QloraError, type Tensor, tensor } from '@qlora/tensor';
import { type GgufValue, type ScalarType, VALUE_TYPES } from './value';
import { GGUF_ALIGNMENT, GGUF_MAGIC } from './writer';

/** A tensor in a file. */
export interface GgufTensorInfo {
  readonly name: string;
  /** Outermost axis first. */
  readonly shape: readonly number[];
  /** `ggml_type` id. */
  readonly typeId: number;
  /** The type, if it can be decoded here. */
  readonly type: BlockType | undefined;
  /** Position of the first byte in the file. */
  readonly offset: number;
}

/** The header of a file. */
export interface GgufFile {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensorInfo[];
  /** Decodes a tensor to f32. @throws QloraError for a type that cannot be decoded here. */
  read(name: string): Promise<Tensor<'f32'>>;
}

// Sizes that no real file comes near. The header is read in one piece that grows up to its limit.
const MAX_HEADER = 1 << 30;
const MAX_STRING = 1 << 24;
const scalarSizes: Record<ScalarType, number> = {
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

/** Thrown inside when the piece of the file that was read ends before the header does. */
class NeedMore extends Error {}

/**
 * Reads and checks a header.
 * @throws QloraError with the rule that is broken and the place.
 */
export async function readGguf(bytes: ByteSource): Promise<GgufFile> {
  for (let length = Math.min(bytes.size, 1 << 20); ; length = Math.min(bytes.size, MAX_HEADER, length * 8)) {
    try {
      return new HeaderParser(bytes, await bytes.read(0, length)).parse();
    } catch (error) {
      if (!(error instanceof NeedMore)) throw error;
      if (length === bytes.size || length === MAX_HEADER) {
        throw new QloraError({
          rule: 'gguf/truncated',
          what: `the header does not end within ${length} bytes`,
          where: bytes.label,
          fix: 'the file is cut or no GGUF file',
        });
      }
    }
  }
}

class HeaderParser {
  readonly #source: ByteSource;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(source: ByteSource, bytes: Uint8Array) {
    this.#source = source;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  parse(): GgufFile {
    if (this.#u32() !== GGUF_MAGIC)
      return this.#refuse('magic', 'does not begin with GGUF', 'name a GGUF file');
    const version = this.#u32();
    if (version !== 2 && version !== 3)
      return this.#refuse('version', `version is ${version}`, 'versions 2 and 3, little endian, are read');
    const tensorCount = this.#count('tensor count', 24);
    const metadataCount = this.#count('metadata count', 13);
    const metadata = new Map<string, GgufValue>();
    for (let i = 0; i < metadataCount; i++) {
      const key = this.#string('key');
      if (metadata.has(key)) return this.#refuse('duplicate-key', `the key "${key}" is there twice`);
      metadata.set(key, this.#value(key));
    }
    const alignment = metadata.get('general.alignment')?.value ?? GGUF_ALIGNMENT;
    if (
      typeof alignment !== 'number' ||
      alignment < 1 ||
      (alignment & (alignment - 1)) !== 0 ||
      alignment > 1 << 20
    ) {
      return this.#refuse('alignment', `general.alignment is ${alignment}`, 'a power of two is needed');
    }
    const infos = Array.from({ length: tensorCount }, () => this.#tensor(alignment));
    const dataStart = Math.ceil(this.#at / alignment) * alignment;
    return this.#finish(version, metadata, infos, dataStart);
  }

  #finish(
    version: number,
    metadata: Map<string, GgufValue>,
    infos: GgufTensorInfo[],
    dataStart: number,
  ): GgufFile {
    const byName = new Map<string, { info: GgufTensorInfo; length: number }>();
    const tensors = infos.map((info) => ({ ...info, offset: dataStart + info.offset }));
    for (const info of tensors) {
      if (byName.has(info.name)) this.#refuse('duplicate-tensor', `the tensor "${info.name}" is there twice`);
      const count = elementCount(info.shape);
      const length = info.type ? (count / info.type.blockSize) * info.type.blockBytes : 0;
      if (info.type && (info.shape.at(-1) ?? 1) % info.type.blockSize !== 0) {
        this.#refuse(
          'row-length',
          `rows of ${info.shape.at(-1)} are no whole blocks of ${info.type.name}`,
          undefined,
          info.name,
        );
      }
      if (info.offset + length > this.#source.size) {
        this.#refuse(
          'tensor-outside',
          `its data ends at ${info.offset + length}, the file at ${this.#source.size}`,
          'the file is cut',
          info.name,
        );
      }
      byName.set(info.name, { info, length });
    }
    const source = this.#source;
    return {
      version,
      metadata,
      tensors,
      async read(name) {
        const found = byName.get(name);
        if (!found) throw new QloraError({ what: `no tensor named "${name}"`, where: source.label });
        const { info, length } = found;
        if (!info.type)
          throw new QloraError({
            what: `is of ggml type ${info.typeId}, which cannot be decoded here`,
            where: [source.label, name],
          });
        return tensor('f32', info.shape, info.type.decode(await source.read(info.offset, length)));
      },
    };
  }

  #tensor(alignment: number): GgufTensorInfo {
    const name = this.#string('tensor name');
    const axes = this.#u32();
    if (axes > 4) return this.#refuse('axes', `has ${axes} axes`, 'ggml holds 4', name);
    const shape = Array.from({ length: axes }, () => this.#u64('length', name)).reverse();
    if (!Number.isSafeInteger(shape.reduce((a, b) => a * b, 1)))
      this.#refuse('overflow', `shape [${shape.join(', ')}] overflows`, undefined, name);
    const typeId = this.#u32();
    const offset = this.#u64('offset', name);
    if (offset % alignment !== 0)
      this.#refuse('unaligned', `its offset ${offset} is no multiple of ${alignment}`, undefined, name);
    return { name, shape, typeId, type: blockTypeById(typeId), offset };
  }

  #value(key: string): GgufValue {
    const type = this.#type(key);
    if (type !== 'array') return { type, value: this.#scalar(type, key) } as GgufValue;
    const items = this.#type(key);
    if (items === 'array') return this.#refuse('nested-array', 'is an array of arrays', undefined, key);
    const count = this.#count('array length', scalarSizes[items]);
    return { type, items, value: Array.from({ length: count }, () => this.#scalar(items, key)) };
  }

  #type(key: string): keyof typeof VALUE_TYPES {
    const id = this.#u32();
    return typeNames.get(id) ?? this.#refuse('value-type', `has value type ${id}`, '0 to 12 are known', key);
  }

  #scalar(type: ScalarType, key: string): number | bigint | boolean | string {
    if (type === 'string') return this.#string(key);
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
        return byte > 1 ? this.#refuse('bool', `is the byte ${byte}`, '0 or 1 is needed', key) : byte === 1;
      }
    }
  }

  /** A count whose items take at least `size` bytes each: more than the file has room for is a lie. */
  #count(what: string, size: number): number {
    const count = this.#u64(what);
    if (count * size > this.#source.size) {
      return this.#refuse(
        'count',
        `${what} ${count} cannot fit into ${this.#source.size} bytes`,
        'the file is damaged',
      );
    }
    return count;
  }

  #string(what: string): string {
    const length = this.#u64(`length of ${what}`);
    if (length > MAX_STRING || length > this.#source.size)
      return this.#refuse('string-length', `${what} of ${length} bytes is too long`);
    const at = this.#take(length);
    return new TextDecoder().decode(this.#bytes.subarray(at, at + length));
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  #u64(what: string, where?: string): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      return this.#refuse('overflow', `${what} is ${value}`, undefined, where);
    return Number(value);
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length) throw new NeedMore();
    this.#at += length;
    return start;
  }

  #refuse(rule: string, what: string, fix?: string, where?: string): never {
    throw new QloraError({
      rule: `gguf/${rule}`,
      what,
      where: [this.#source.label, where],
      ...(fix ? { fix } : {}),
    });
  }
}
