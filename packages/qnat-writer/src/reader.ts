// Reading QNAT: version 2 as SPEC.md has it, and version 1 as qlora-rs 1.0.5 really writes it (see reader-v1.ts). Every
// size is checked against the file before anything of its size is made; each tensor's checksum is checked when read.
import { createDynamicMap } from '@qlora/double-quant';
import {
  codecNames,
  dequantizeToTensor,
  type QuantizedInfo,
  type QuantizedSource,
  type QuantizedTensor,
  strategyNames,
} from '@qlora/quant-strategies';
import {
  type ByteSource,
  DTYPES,
  type DType,
  elementCount,
  findTensor,
  QloraError,
  type TensorInfo,
  viewAs,
} from '@qlora/tensor';
import CRC32 from 'crc-32';
import {
  ALIGNMENT,
  FLAGS,
  HEADER_BYTES,
  MAX_DIRECTORY_BYTES,
  NESTED_BLOCK_SIZE,
  QNAT_MAGIC,
  type Section,
  sectionOffsets,
  sectionSizes,
} from './layout';
import { openQnatV1 } from './reader-v1';
import type { JsonObject } from './writer';

/** An open QNAT file. */
export interface QnatFile extends QuantizedSource {
  readonly version: 1 | 2;
  /** The directory's metadata; version 1 has `model_name`, `model_type` and `compute_dtype`. */
  readonly json: JsonObject;
}

interface Entry {
  readonly info: TensorInfo;
  readonly quantized: QuantizedInfo | undefined;
  /** Position of the tensor's first byte in the file. */
  readonly start: number;
  readonly size: number;
  readonly crc32: number;
  readonly sections: ReadonlyMap<Section, readonly [offset: number, length: number]>;
}

type Refuse = (rule: string, what: string, where?: string, fix?: string) => never;

/**
 * Opens a QNAT file of version 1 or 2.
 * @throws QloraError with the rule that the file breaks.
 */
export async function openQnat(bytes: ByteSource): Promise<QnatFile> {
  const refuse: Refuse = (rule, what, where, fix) => {
    throw new QloraError({
      rule: `qnat/${rule}`,
      what,
      where: [bytes.label, where],
      ...(fix ? { fix } : {}),
    });
  };
  if (bytes.size < 28) return refuse('truncated', `${bytes.size} bytes are no QNAT file`);
  const start = (await bytes.read(0, Math.min(HEADER_BYTES, bytes.size))).slice();
  const view = new DataView(start.buffer);
  if (view.getUint32(0, true) !== QNAT_MAGIC) return refuse('magic', 'does not begin with QNAT');
  const version = view.getUint32(4, true);
  if (version === 1) return openQnatV1(bytes, refuse);
  if (version !== 2)
    return refuse('version', `version is ${version}`, undefined, 'versions 1 and 2 can be read');
  const { directory, dataStart, dataSize, count } = await readHead(bytes, start, view, refuse);
  const { metadata, tensors } = parseDirectory(directory, refuse);
  if (tensors.length !== count)
    return refuse('tensor-count', `the header says ${count} tensors, the directory has ${tensors.length}`);
  const entries = new Map<string, Entry>();
  let end = 0;
  for (const json of tensors) {
    const entry = parseEntry(json, dataStart, refuse);
    const { name } = entry.info;
    if (entries.has(name)) return refuse('duplicate-name', 'is there twice', name);
    if (entry.start - dataStart !== end)
      return refuse(
        'offset',
        `begins at ${entry.start - dataStart}, not at ${end} where the one before ends`,
        name,
      );
    end += entry.size;
    if (end > dataSize) return refuse('outside', `ends at ${end}, the data at ${dataSize}`, name);
    entries.set(name, entry);
  }
  if (end !== dataSize)
    return refuse('data-size', `the tensors take ${end} bytes, the header says ${dataSize}`);
  checkFlags(view.getUint32(8, true), [...entries.values()], refuse);
  return source(bytes, metadata, entries, refuse);
}

async function readHead(bytes: ByteSource, start: Uint8Array, view: DataView, refuse: Refuse) {
  if (bytes.size < HEADER_BYTES) return refuse('truncated', `${bytes.size} bytes are less than a header`);
  const number = (at: number, what: string) => {
    const value = view.getBigUint64(at, true);
    return value <= BigInt(bytes.size)
      ? Number(value)
      : refuse('size', `${what} is ${value}, the file has ${bytes.size} bytes`);
  };
  if (CRC32.buf(start.subarray(0, 60)) >>> 0 !== view.getUint32(60, true))
    return refuse('header-checksum', 'the header is damaged');
  if (view.getUint32(12, true) !== ALIGNMENT)
    return refuse('alignment', `alignment is ${view.getUint32(12, true)}`, undefined, '64 is needed');
  if (view.getUint32(56, true) !== 0) return refuse('reserved', 'the reserved bytes are not zero');
  const directoryStart = number(16, 'the directory offset');
  const directorySize = number(24, 'the directory size');
  const dataStart = number(32, 'the data offset');
  const dataSize = number(40, 'the data size');
  if (directoryStart !== HEADER_BYTES)
    return refuse('directory-offset', `the directory begins at ${directoryStart}`, undefined, '64 is needed');
  if (directorySize > MAX_DIRECTORY_BYTES)
    return refuse('directory-size', `a directory of ${directorySize} bytes is too large`);
  if (dataStart % ALIGNMENT !== 0 || dataStart < HEADER_BYTES + directorySize)
    return refuse('data-offset', `the data begins at ${dataStart}`);
  if (dataStart + dataSize !== bytes.size) {
    return refuse(
      'file-size',
      `data from ${dataStart} of ${dataSize} bytes does not end with the file at ${bytes.size}`,
      undefined,
      'the file is cut or has something behind it',
    );
  }
  const directory = await bytes.read(HEADER_BYTES, directorySize);
  if (CRC32.buf(directory) >>> 0 !== view.getUint32(52, true))
    return refuse('directory-checksum', 'the directory is damaged');
  return { directory, dataStart, dataSize, count: view.getUint32(48, true) };
}

function parseDirectory(
  raw: Uint8Array,
  refuse: Refuse,
): { metadata: JsonObject; tensors: readonly unknown[] } {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw));
  } catch (error) {
    return refuse('directory', `the directory is no JSON: ${(error as Error).message}`);
  }
  const { metadata, tensors } = (json ?? {}) as { metadata?: unknown; tensors?: unknown };
  if (typeof metadata !== 'object' || metadata === null || !Array.isArray(tensors)) {
    return refuse('directory', 'the directory lacks metadata or tensors');
  }
  return { metadata: metadata as JsonObject, tensors };
}

function parseEntry(value: unknown, dataStart: number, refuse: Refuse): Entry {
  if (typeof value !== 'object' || value === null) return refuse('entry', 'an entry is no object');
  const e = value as Record<string, unknown>;
  const { name, dtype, shape } = e;
  if (typeof name !== 'string') return refuse('entry', 'an entry has no name');
  const whole = (field: string): number => {
    const n = e[field];
    return Number.isSafeInteger(n) && (n as number) >= 0
      ? (n as number)
      : refuse('entry', `${field} is ${JSON.stringify(n)}`, name);
  };
  if (!DTYPES.includes(dtype as DType)) return refuse('dtype', `dtype is ${JSON.stringify(dtype)}`, name);
  if (!Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    return refuse('shape', `shape is ${JSON.stringify(shape)}`, name);
  }
  if (!Number.isSafeInteger(shape.reduce((a: number, b: number) => a * b, 8)))
    return refuse('overflow', `shape [${shape}] overflows`, name);
  const crc =
    typeof e.crc32 === 'string' && /^[0-9a-f]{8}$/.test(e.crc32) ? Number.parseInt(e.crc32, 16) : undefined;
  if (crc === undefined)
    return refuse(
      'entry',
      `crc32 is ${JSON.stringify(e.crc32)}`,
      name,
      'eight hexadecimal digits are needed',
    );
  const quantized =
    e.scheme === undefined ? undefined : parseQuantization(e, name, shape, dtype as DType, whole, refuse);
  const plan = { dtype: dtype as DType, shape, ...(quantized ? { quantized } : {}) };
  const sizes = sectionSizes(plan);
  const { offsets, size } = sectionOffsets(sizes);
  if (whole('size') !== size)
    return refuse('tensor-size', `size is ${e.size}, its shape and scheme need ${size}`, name);
  const sections = new Map(
    [...sizes].map(([section, length]) => [section, [offsets.get(section) ?? 0, length] as const]),
  );
  const given = JSON.stringify(e.sections);
  if (given !== JSON.stringify(Object.fromEntries(sections))) {
    return refuse(
      'sections',
      `sections are ${given?.slice(0, 200)}`,
      name,
      `${JSON.stringify(Object.fromEntries(sections))} is needed`,
    );
  }
  const info = { name, dtype: quantized ? ('f32' as const) : (dtype as DType), shape };
  return { info, quantized, start: dataStart + whole('offset'), size, crc32: crc, sections };
}

function parseQuantization(
  e: Record<string, unknown>,
  name: string,
  shape: number[],
  dtype: DType,
  whole: (field: string) => number,
  refuse: Refuse,
): QuantizedInfo {
  const { scheme, strategy } = e;
  if (typeof scheme !== 'string' || !codecNames().includes(scheme))
    return refuse('scheme', `scheme is ${JSON.stringify(scheme)}`, name, codecNames().join(', '));
  if (typeof strategy !== 'string' || !strategyNames().includes(strategy)) {
    return refuse('strategy', `strategy is ${JSON.stringify(strategy)}`, name, strategyNames().join(', '));
  }
  const doubleQuant = e.nested_block_size !== undefined;
  if (doubleQuant && (e.nested_block_size !== NESTED_BLOCK_SIZE || e.nested_map !== 'dynamic8')) {
    return refuse(
      'nested',
      `nested_block_size ${e.nested_block_size} with map ${e.nested_map}`,
      name,
      '256 and dynamic8 are needed',
    );
  }
  const common = { scheme, strategy, doubleQuant, shape, dtype };
  if (strategy === 'per-channel') {
    const axis = whole('axis');
    const channels = shape[axis];
    if (channels === undefined) return refuse('axis', `axis is ${axis}, the shape has ${shape.length}`, name);
    return { ...common, axis, blockSize: channels === 0 ? 0 : elementCount(shape) / channels };
  }
  const blockSize = whole('block_size');
  if (blockSize < 1) return refuse('block-size', 'block_size is 0', name);
  return { ...common, blockSize };
}

function checkFlags(flags: number, entries: readonly Entry[], refuse: Refuse): void {
  const infos = entries.flatMap(({ quantized }) => (quantized ? [quantized] : []));
  let expected = infos.length > 0 ? FLAGS.quantized : 0;
  if (infos.some((info) => info.doubleQuant)) expected |= FLAGS.doubleQuant;
  if (infos.some((info) => info.strategy === 'zero-point')) expected |= FLAGS.zeroPoints;
  if (flags !== expected) refuse('flags', `flags are ${flags}, the tensors make ${expected}`);
}

function source(
  bytes: ByteSource,
  json: JsonObject,
  entries: ReadonlyMap<string, Entry>,
  refuse: Refuse,
): QnatFile {
  const entryOf = (name: string) => entries.get(name) ?? (findTensor(file, name) as never);
  const readSections = async (name: string) => {
    const { start, size, crc32, sections } = entryOf(name);
    const block = await bytes.read(start, size);
    if (CRC32.buf(block) >>> 0 !== crc32)
      return refuse('checksum', 'the data is damaged', name, 'fetch the file again');
    return (section: Section) => {
      const [offset, length] = sections.get(section) ?? [0, 0];
      return block.subarray(offset, offset + length);
    };
  };
  const file: QnatFile = {
    version: 2,
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

function assemble(info: QuantizedInfo, section: (name: Section) => Uint8Array): QuantizedTensor {
  const { doubleQuant, axis, ...common } = info;
  return {
    ...common,
    ...(axis === undefined ? {} : { axis }),
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
