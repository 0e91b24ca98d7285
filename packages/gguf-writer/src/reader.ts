// A strict reader of GGUF files (versions 2 and 3, little endian): header, metadata, directory, and the tensors' data.
// What ggml's own reader refuses is refused here too, with a named rule.
import { type BlockLayout, type BlockType, blockTypeById } from '@qlora/ggml-blocks';
import { type ByteSource, elementCount, QloraError, type Tensor, tensor } from '@qlora/tensor';
import { alignTo } from './container';
import { type Header, HeaderParser, MAX_HEADER, NeedMore } from './header-parser';
import type { GgufValue } from './value';

/** A tensor in a file. */
export interface GgufTensorInfo {
  readonly name: string;
  /** Outermost axis first. */
  readonly shape: readonly number[];
  /** `ggml_type` id. */
  readonly typeId: number;
  /** Name and sizes of the type, if it is a known one. */
  readonly layout: BlockLayout | undefined;
  /** The type, if it can be decoded here. */
  readonly type: BlockType | undefined;
  /** Position of the first byte in the file. */
  readonly offset: number;
  /** Bytes of the data, without padding; undefined if the type is not known. */
  readonly byteLength: number | undefined;
}

/** The header of a file. */
export interface GgufFile {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensorInfo[];
  /**
   * The bytes of a tensor as they are in the file.
   * @throws QloraError if there is no such tensor or its type is not known.
   */
  readBytes(name: string): Promise<Uint8Array>;
  /** A tensor decoded to f32. @throws QloraError for a type that cannot be decoded here. */
  read(name: string): Promise<Tensor<'f32'>>;
}

/**
 * Reads and checks a header; tensors are read when asked for.
 *
 * Every refusal names a rule: `gguf/magic`, `gguf/version`, `gguf/truncated`, `gguf/count`, `gguf/string-length`,
 * `gguf/empty-key`, `gguf/encoding`, `gguf/duplicate-key`, `gguf/value-type`, `gguf/nested-array`, `gguf/bool`,
 * `gguf/alignment`, `gguf/duplicate-tensor`, `gguf/axes`, `gguf/overflow`, `gguf/row-length`, `gguf/tensor-offset`,
 * `gguf/tensor-outside`.
 *
 * @throws QloraError with the rule that is broken and the place.
 */
export async function readGguf(bytes: ByteSource): Promise<GgufFile> {
  const limit = Math.min(bytes.size, MAX_HEADER);
  for (let length = Math.min(limit, 1 << 20); ; length = Math.min(limit, length * 8)) {
    const parser = new HeaderParser(bytes, await bytes.read(0, length));
    let header: Header;
    try {
      header = parser.parse();
    } catch (error) {
      if (!(error instanceof NeedMore)) throw error;
      if (length === limit) {
        const fix = 'the file is cut, or no GGUF file';
        parser.refuse('truncated', `its header does not end within ${length} bytes`, fix);
      }
      continue;
    }
    return openFile(bytes, header, parser);
  }
}

function openFile(bytes: ByteSource, header: Header, parser: HeaderParser): GgufFile {
  const tensors = placeTensors(header, bytes.size, parser);
  const byName = new Map(tensors.map((info) => [info.name, info]));
  const find = (name: string): GgufTensorInfo => {
    const info = byName.get(name);
    if (info) return info;
    const some = tensors.slice(0, 4).map((known) => known.name);
    throw new QloraError({
      what: `no tensor named "${name}"`,
      where: bytes.label,
      fix: `it has ${tensors.length}: ${some.join(', ')}${tensors.length > 4 ? ', …' : ''}`,
    });
  };
  const readBytes = async (name: string): Promise<Uint8Array> => {
    const { offset, byteLength, typeId } = find(name);
    if (byteLength !== undefined) return bytes.read(offset, byteLength);
    throw new QloraError({
      what: `is of ggml type ${typeId}, whose size is not known`,
      where: [bytes.label, name],
    });
  };
  return {
    version: header.version,
    metadata: header.metadata,
    tensors,
    readBytes,
    async read(name) {
      const { type, layout, typeId, shape } = find(name);
      if (!type) {
        throw new QloraError({
          what: `is of ggml type ${layout?.name ?? typeId}, which cannot be decoded here`,
          where: [bytes.label, name],
        });
      }
      return tensor('f32', shape, type.decode(await readBytes(name)));
    },
  };
}

/** Tensors with their place in the file. Like ggml, it takes them one after the other, without gaps, or not at all. */
function placeTensors({ entries, alignment, dataStart }: Header, size: number, parser: HeaderParser) {
  let expected: number | undefined = 0;
  return entries.map(({ name, shape, typeId, layout, offset }): GgufTensorInfo => {
    const byteLength = layout && (elementCount(shape) / layout.blockSize) * layout.blockBytes;
    if (layout && (shape.at(-1) ?? 1) % layout.blockSize !== 0) {
      const what = `rows of ${shape.at(-1)} are no whole blocks of ${layout.name}`;
      parser.refuse('row-length', what, `multiples of ${layout.blockSize} are needed`, name);
    }
    // After a tensor of unknown size only the alignment of the next is known.
    if (expected === undefined ? offset % alignment !== 0 : offset !== expected) {
      const fix = `${expected ?? `a multiple of ${alignment}`} is expected`;
      parser.refuse('tensor-offset', `its offset is ${offset}`, fix, name);
    }
    const end = dataStart + offset + (byteLength ?? 0);
    if (!Number.isSafeInteger(end) || end > size) {
      parser.refuse(
        'tensor-outside',
        `its data ends at ${end}, the file at ${size}`,
        'the file is cut',
        name,
      );
    }
    expected = byteLength === undefined ? undefined : alignTo(offset + byteLength, alignment);
    const type = blockTypeById(typeId);
    return { name, shape, typeId, layout, type, offset: dataStart + offset, byteLength };
  });
}
