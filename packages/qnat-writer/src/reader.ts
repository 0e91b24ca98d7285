// Reading QNAT: version 2 as SPEC.md has it, and the files of qlora-rs (see qlora-rs.ts). Header, directory and sizes are
// checked when a file is opened, each tensor's checksum when it is read. Nothing is allocated on the word of the file
// before that word is known to fit into it.
import { createDynamicMap } from '@qlora/double-quant';
import { dequantizeToTensor, type QuantizedInfo, type QuantizedTensor } from '@qlora/quant-strategies';
import { type ByteSource, findTensor, QloraError, viewAs } from '@qlora/tensor';
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

type ReadSection = (section: Section) => Uint8Array;

function source(
  bytes: ByteSource,
  { metadata: json, entries }: Directory,
  dataStart: number,
  refuse: Refuse,
): QnatFile {
  const entryOf = (name: string): Entry => entries.get(name) ?? (findTensor(file, name) as never);
  const readSections = async (name: string): Promise<ReadSection> => {
    const { offset, size, crc32: expected, sections } = entryOf(name);
    const block = await bytes.read(dataStart + offset, size);
    if (crc32(block) !== expected)
      return refuse('checksum', 'its data is damaged', name, 'fetch the file again');
    let end = 0;
    for (const [start, length] of sections.values()) {
      if (block.subarray(end, start).some((byte) => byte !== 0))
        return refuse('padding', `the bytes before ${start} are not zero`, name);
      end = start + length;
    }
    if (block.subarray(end).some((byte) => byte !== 0))
      return refuse('padding', `the bytes after ${end} are not zero`, name);
    return (section) => {
      const [start, length] = sections.get(section) ?? [0, 0];
      return block.subarray(start, start + length);
    };
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
    close: () => bytes.close(),
  };
  return file;
}

function assemble(info: QuantizedInfo, section: ReadSection): QuantizedTensor {
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
