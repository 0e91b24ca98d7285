// A strict reader of GGUF files (versions 2 and 3, little endian): header, metadata, directory, and the tensors' data.
// What ggml's own reader refuses is refused here too, with a named rule.
import { type BlockLayout, type BlockType, blockTypeById } from '@qlora/ggml-blocks';
import { type ByteSource, elementCount, printable, QloraError, type Tensor, tensor } from '@qlora/tensor';
import { alignTo } from './container';
import { type Header, HeaderParser, NeedMore } from './header-parser';
import { MAX_HEADER } from './rules';
import type { GgufValue } from './value';

/** A tensor in a file. */
export interface GgufTensorInfo {
  readonly name: string;
  /** Outermost axis first. */
  readonly shape: readonly number[];
  /** `ggml_type` id. */
  readonly typeId: number;
  /** Name and sizes of the type. */
  readonly layout: BlockLayout;
  /** The type, if it can be decoded here. */
  readonly type: BlockType | undefined;
  /** Position of the first byte in the file. */
  readonly offset: number;
  /** Bytes of the data, without padding. */
  readonly byteLength: number;
}

/** The header of a file. */
export interface GgufFile {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensorInfo[];
  /** The bytes of a tensor as they are in the file. @throws QloraError if there is no such tensor. */
  readBytes(name: string): Promise<Uint8Array>;
  /** A tensor decoded to f32. @throws QloraError (`gguf/undecodable`) for a type that cannot be decoded here. */
  read(name: string): Promise<Tensor<'f32'>>;
}

/**
 * Reads and checks a header; tensors are read when asked for.
 *
 * Every refusal names a rule of {@link GGUF_RULES}. Nothing is allocated by what a file says of itself before that is held
 * against the file's size and the limits in the README: a header takes at most 128 MB, the reader a few times that.
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
        const what = `its header does not end within ${length} bytes`;
        if (length < bytes.size) parser.refuse('header-size', what, 'headers may have 128 MB');
        parser.refuse('truncated', what, 'the file is cut, or no GGUF file');
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
      fix: `it has ${tensors.length}: ${some.map(printable).join(', ')}${tensors.length > 4 ? ', …' : ''}`,
    });
  };
  const readBytes = async (name: string): Promise<Uint8Array> => {
    const { offset, byteLength } = find(name);
    return bytes.read(offset, byteLength);
  };
  return {
    version: header.version,
    metadata: header.metadata,
    tensors,
    readBytes,
    async read(name) {
      const { type, layout, shape } = find(name);
      if (!type) {
        const what = `is of ggml type ${layout.name}, which cannot be decoded here`;
        return parser.refuse('undecodable', what, 'readBytes gives its bytes', name);
      }
      return tensor('f32', shape, type.decode(await readBytes(name)));
    },
  };
}

/** Tensors with their place in the file. Like ggml, it takes them one after the other, without gaps, or not at all. */
function placeTensors({ entries, alignment, dataStart }: Header, size: number, parser: HeaderParser) {
  let expected = 0;
  return entries.map(({ name, shape, layout, offset }): GgufTensorInfo => {
    const byteLength = (elementCount(shape) / layout.blockSize) * layout.blockBytes;
    if (offset !== expected) {
      parser.refuse('tensor-offset', `its offset is ${offset}`, `${expected} is expected`, name);
    }
    const end = dataStart + offset + byteLength;
    if (end > size) {
      const what = `its data ends at ${end}, the file at ${size}`;
      parser.refuse('tensor-outside', what, 'the file is cut', name);
    }
    expected = alignTo(offset + byteLength, alignment);
    const type = blockTypeById(layout.id);
    return { name, shape, typeId: layout.id, layout, type, offset: dataStart + offset, byteLength };
  });
}
