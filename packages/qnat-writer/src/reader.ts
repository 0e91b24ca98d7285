// Reading QNAT: version 2 as SPEC.md has it, and the files of qlora-rs (see qlora-rs.ts). Header, directory and sizes are
// checked when a file is opened, each tensor's checksum before the first value of it is handed out. Nothing is allocated on the word of the file
// before that word is known to fit into it.
import { createDynamicMap } from '@qlora/double-quant';
import { dequantizeToTensor, type QuantizedInfo, type QuantizedTensor } from '@qlora/quant-strategies';
import {
  type ByteSource,
  checkElements,
  elementSize,
  findTensor,
  QloraError,
  tensor,
  viewAs,
} from '@qlora/tensor';
import { type Directory, type Entry, parseDirectory } from './directory';
import type { QnatFile } from './file';
import { crc32, decodeHeader } from './header';
import {
  flagsOf,
  HEADER_BYTES,
  NESTED_BLOCK_SIZE,
  QNAT_DIALECT,
  QNAT_MAGIC,
  QNAT_VERSION,
  type Section,
} from './layout';
import { openQloraRs } from './qlora-rs';
import { decodeRange } from './range';
import { type Refuse, refuser } from './refuse';

/**
 * Opens a QNAT file: version 2, or a file of qlora-rs (its versions 1 and 2).
 *
 * @throws QloraError with the rule that the file breaks: `qnat/header-checksum`, … (SPEC.md lists them).
 * @example
 * const file = await openQnat(await fileSource('model.qnat'));
 * const weight = await file.readQuantized('model.layers.0.mlp.up_proj.weight');
 */
export async function openQnat(bytes: ByteSource): Promise<QnatFile> {
  const refuse = refuser(bytes.label);
  if (bytes.size < 8) return refuse('truncated', `${bytes.size} bytes are no QNAT file`);
  const head = (await bytes.read(0, Math.min(HEADER_BYTES, bytes.size))).slice();
  const view = new DataView(head.buffer);
  if (view.getUint32(0, true) !== QNAT_MAGIC)
    return refuse('magic', 'does not begin with "QNAT"', undefined, 'is it another format?');
  const version = view.getUint16(4, true);
  const dialect = view.getUint16(6, true);
  if (dialect === 0 && (version === 1 || version === 2)) return openQloraRs(bytes, version);
  if (dialect !== QNAT_DIALECT || version !== QNAT_VERSION) {
    return refuse(
      'version',
      `version is ${version} of dialect ${dialect}`,
      undefined,
      'version 2 of dialect 1 can be read, and versions 1 and 2 of qlora-rs, which is dialect 0',
    );
  }
  if (head.length < HEADER_BYTES) return refuse('truncated', `${bytes.size} bytes are less than a header`);
  const header = decodeHeader(head, bytes.size, refuse);
  const raw = await bytes.read(HEADER_BYTES, header.directorySize);
  if (crc32(raw) !== header.directoryCrc32)
    return refuse('directory-checksum', 'the directory is damaged', undefined, 'fetch the file again');
  const end = HEADER_BYTES + header.directorySize;
  if ((await bytes.read(end, header.dataStart - end)).some((byte) => byte !== 0))
    return refuse('padding', 'the bytes between directory and data are not zero');
  const directory = parseDirectory(raw, refuse);
  checkAgainstHeader(directory, header, refuse);
  return source(bytes, directory, header.dataStart, refuse);
}

function checkAgainstHeader(
  { entries, dataSize }: Directory,
  header: ReturnType<typeof decodeHeader>,
  refuse: Refuse,
): void {
  if (entries.size !== header.tensorCount) {
    refuse(
      'tensor-count',
      `the header says ${header.tensorCount} tensors, the directory has ${entries.size}`,
    );
  }
  if (dataSize !== header.dataSize)
    refuse('data-size', `the tensors take ${dataSize} bytes, the header says ${header.dataSize}`);
  const flags = flagsOf(entries.values());
  if (flags !== header.flags) refuse('flags', `flags are ${header.flags}, the tensors make ${flags}`);
}

/** The sections of a tensor that is in memory whole. */
type Sections = (section: Section) => Uint8Array;

/** Bytes of a tensor that are read at a time to compute its checksum. */
const PIECE_BYTES = 4 * 1024 * 1024;

function source(
  bytes: ByteSource,
  { metadata: json, entries }: Directory,
  dataStart: number,
  refuse: Refuse,
): QnatFile {
  const entryOf = (name: string): Entry => entries.get(name) ?? (findTensor(file, name) as never);
  const readSections = async (name: string): Promise<Sections> => {
    const entry = entryOf(name);
    const block = await bytes.read(dataStart + entry.offset, entry.size);
    const check = checker(name, entry, refuse);
    check.take(block);
    check.finish();
    checked.set(name, Promise.resolve());
    return (section) => {
      const [start, length] = entry.sections.get(section) ?? [0, 0];
      return block.subarray(start, start + length);
    };
  };
  /** Tensors whose checksum is right, or is being computed. */
  const checked = new Map<string, Promise<void>>();
  const check = (name: string, entry: Entry): Promise<void> => {
    const begun = checked.get(name);
    if (begun) return begun;
    const done = checkInPieces(bytes, dataStart, name, entry, refuse);
    checked.set(name, done);
    // What failed once is tried again.
    done.catch(() => checked.delete(name));
    return done;
  };
  const file: QnatFile = {
    version: 2,
    dialect: '@qlora',
    label: bytes.label,
    json,
    metadata: new Map(
      Object.entries(json).flatMap(([key, value]) =>
        typeof value === 'string' ? [[key, value] as const] : [],
      ),
    ),
    tensors: [...entries.values()].map(({ info }) => info),
    quantized: new Map(
      [...entries].flatMap(([name, { quantized }]) => (quantized ? [[name, quantized] as const] : [])),
    ),
    async readQuantized(name) {
      const info = entryOf(name).quantized;
      if (!info) throw new QloraError({ what: `tensor "${name}" is not quantized`, where: bytes.label });
      return assemble(info, await readSections(name));
    },
    async read(name) {
      const { info, quantized } = entryOf(name);
      if (quantized) return dequantizeToTensor(await file.readQuantized(name), 'f32');
      const section = await readSections(name);
      return { dtype: info.dtype, shape: info.shape, data: viewAs(info.dtype, section('values')) };
    },
    async readRange(name, start, count) {
      const entry = entryOf(name);
      const { info, quantized, offset, sections } = entry;
      checkElements(info, start, count, bytes.label);
      await check(name, entry);
      const read = (section: Section, at: number, length: number) => {
        const [begin = 0] = sections.get(section) ?? [];
        return bytes.read(dataStart + offset + begin + at, length);
      };
      if (quantized) return tensor('f32', [count], await decodeRange(quantized, start, count, read));
      const size = elementSize(info.dtype);
      const data = viewAs(info.dtype, await read('values', start * size, count * size));
      return { dtype: info.dtype, shape: [count], data };
    },
    close: () => bytes.close(),
  };
  return file;
}

/** Checks a tensor's bytes, which come in order: the checksum, and that padding is zero. */
function checker(name: string, { size, crc32: expected, sections }: Entry, refuse: Refuse) {
  const gaps: [start: number, end: number][] = [];
  let end = 0;
  for (const [start, length] of sections.values()) {
    gaps.push([end, start]);
    end = start + length;
  }
  gaps.push([end, size]);
  let at = 0;
  let checksum = 0;
  let dirty: number | undefined;
  return {
    take(piece: Uint8Array) {
      checksum = crc32(piece, checksum);
      for (const [start, stop] of gaps) {
        const from = Math.max(0, start - at);
        const found = piece.subarray(from, Math.max(from, stop - at)).findIndex((byte) => byte !== 0);
        if (found >= 0) dirty ??= at + from + found;
      }
      at += piece.length;
    },
    finish() {
      if (checksum !== expected) refuse('checksum', 'its data is damaged', name, 'fetch the file again');
      if (dirty !== undefined) refuse('padding', `byte ${dirty} is between sections and not zero`, name);
    },
  };
}

async function checkInPieces(
  bytes: ByteSource,
  dataStart: number,
  name: string,
  entry: Entry,
  refuse: Refuse,
): Promise<void> {
  const check = checker(name, entry, refuse);
  for (let at = 0; at < entry.size; at += PIECE_BYTES)
    check.take(await bytes.read(dataStart + entry.offset + at, Math.min(PIECE_BYTES, entry.size - at)));
  check.finish();
}

function assemble(info: QuantizedInfo, section: Sections): QuantizedTensor {
  const { doubleQuant, ...common } = info;
  return {
    ...common,
    codes: section('codes'),
    scales: doubleQuant
      ? {
          kind: 'double',
          quantized: {
            codes: section('scale_codes'),
            nestedAbsmax: viewAs('f32', section('nested_absmax')),
            offset: viewAs('f32', section('nested_offset'))[0] ?? 0,
            blockSize: NESTED_BLOCK_SIZE,
            map: createDynamicMap(),
          },
        }
      : { kind: 'plain', values: viewAs('f32', section('scales')) },
    ...(info.strategy === 'zero-point' ? { zeroPoints: viewAs('f32', section('zero_points')) } : {}),
  };
}
