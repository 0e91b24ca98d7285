// QNAT as the Rust crate qlora-rs writes it (src/native.rs): version 1 from release 1.0.5, version 2 from releases 1.2.0
// and 1.3.0. Both differ from what their documentation says:
//
// - The header is 28 bytes, not 32: magic, version, flags (always 0), metadata size (u64, always 0), tensor count,
//   reserved (always 0). Two strings and a byte follow as metadata, then a record for each tensor: name, shape, block
//   size, offset, number of blocks, and from version 2 on flags. The data begins right behind the records.
// - The offsets assume a header of 32 bytes and the default metadata, so they point nowhere; but each is the one before
//   plus the size of its data. They are held to that formula here, since every such file fulfils it.
// - Version 1 does not say whether a tensor has zero points or double-quantized scales. The size of its data does: with b
//   blocks they add 4·b and b + 4 bytes, and no two sums of these are equal.
// - Version 1 keeps plain scales beside the double-quantized ones; the crate decodes with the latter, so we do too.
import { dequantizeToTensor, type QuantizedInfo, type QuantizedTensor } from '@qlora/quant-strategies';
import { type ByteSource, checkElements, findTensor, tensor } from '@qlora/tensor';
import { Cursor } from './cursor';
import type { QnatFile } from './file';
import { LIMITS } from './layout';
import { type Payload, payloadSizes, quantizedOf } from './qlora-rs-payload';
import { decodeRange, sectionsInMemory } from './range';
import { type Refuse, refuser, show } from './refuse';

const TENSOR_COUNT_AT = 20;
const HEADER = 28;
/** What the crate takes the header and the default metadata for, in version 1 and 2. */
const SUPPOSED_HEADER = { 1: 32 + 28, 2: 32 + 25 } as const;
const COMPUTE_TYPES = ['f32', 'f16', 'bf16'] as const;
const FLAGS = { doubleQuant: 1, zeroPoints: 2, perChannel: 4 } as const;
const MAX_STRING = 64 * 1024;

interface TensorRecord {
  readonly name: string;
  readonly shape: readonly number[];
  readonly blockSize: number;
  readonly offset: number;
  readonly blocks: number;
  /** Only version 2 has them. */
  readonly flags: number | undefined;
}

/** Opens a file of the crate; `openQnat` calls it once magic and version are known. */
export async function openQloraRs(bytes: ByteSource, version: 1 | 2): Promise<QnatFile> {
  const refuseQnat = refuser(bytes.label);
  const refuse: Refuse = (rule, what, where, fix) => refuseQnat(`qlora-rs/${rule}`, what, where, fix);
  const cursor = new Cursor(bytes, 8, refuse);
  const header = await cursor.take(HEADER - 8, 'the header');
  if (
    header.getUint32(0, true) !== 0 ||
    header.getBigUint64(4, true) !== 0n ||
    header.getUint32(16, true) !== 0
  )
    return refuse('header', 'flags, metadata size and reserved bytes are not all zero');
  const count = header.getUint32(TENSOR_COUNT_AT - 8, true);
  const least = version === 1 ? 24 : 28;
  if (count * least > bytes.size)
    return refuse('tensor-count', `${count} tensors cannot fit into ${bytes.size} bytes`);
  const modelName = await cursor.string('the model name', MAX_STRING);
  const modelType = await cursor.string('the model type', MAX_STRING);
  const computeByte = await cursor.u8('the compute type');
  const computeType =
    COMPUTE_TYPES[computeByte] ??
    refuse('compute-type', `compute type is ${computeByte}`, undefined, '0, 1 or 2 is needed');
  const records: TensorRecord[] = [];
  for (let i = 0; i < count; i++) records.push(await readRecord(cursor, version, refuse));
  checkOffsets(records, version, refuse);
  const payloads = place(records, cursor.at, bytes.size, refuse);
  const json = { model_name: modelName, model_type: modelType, compute_dtype: computeType };
  return file(bytes, version, payloads, json);
}

async function readRecord(cursor: Cursor, version: 1 | 2, refuse: Refuse): Promise<TensorRecord> {
  const name = await cursor.string('a tensor name', LIMITS.nameBytes);
  const rank = await cursor.u32(`the rank of ${show(name)}`);
  if (rank > LIMITS.rank) return refuse('rank', `rank is ${rank}`, name, `the limit is ${LIMITS.rank}`);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) shape.push(await cursor.u64(`the shape of ${show(name)}`));
  const blockSize = await cursor.u32(`the block size of ${show(name)}`);
  const offset = await cursor.u64(`the offset of ${show(name)}`);
  const blocks = await cursor.u32(`the block count of ${show(name)}`);
  const flags = version === 1 ? undefined : await cursor.u32(`the flags of ${show(name)}`);
  if (flags !== undefined && flags > 7)
    return refuse('flags', `flags are ${flags}`, name, 'bits 0 to 2 are known');
  const values = shape.filter((length) => length > 0).reduce((a, b) => a * b, 1);
  if (!Number.isSafeInteger(values)) return refuse('overflow', `shape ${show(shape)} overflows`, name);
  const expected = shape.reduce((a, b) => a * b, 1);
  if (expected !== blockSize * blocks)
    return refuse(
      'block-count',
      `${blocks} blocks of ${blockSize} are not the values of ${show(shape)}`,
      name,
    );
  return { name, shape, blockSize, offset, blocks, flags };
}

/** The first offset is what the crate takes the length of everything before the data for. */
function checkOffsets(records: readonly TensorRecord[], version: 1 | 2, refuse: Refuse): void {
  const [first] = records;
  if (!first) return;
  const fixed = version === 1 ? 24 : 28;
  const supposed = records.reduce(
    (sum, { name, shape }) => sum + fixed + new TextEncoder().encode(name).length + 8 * shape.length,
    SUPPOSED_HEADER[version],
  );
  if (first.offset !== supposed)
    refuse('offset', `offset is ${first.offset}`, first.name, `the crate writes ${supposed} here`);
}

/** Where each tensor's data lies and what it consists of. */
function place(
  records: readonly TensorRecord[],
  dataStart: number,
  fileSize: number,
  refuse: Refuse,
): Map<string, Payload> {
  const payloads = new Map<string, Payload>();
  let start = dataStart;
  for (const [index, record] of records.entries()) {
    const { name, shape, blockSize, blocks, flags } = record;
    if (payloads.has(name)) refuse('duplicate-name', 'is there twice', name);
    const next = records[index + 1];
    const size = next ? next.offset - record.offset : fileSize - start;
    if (size < 0 || size > fileSize - start)
      refuse('outside', `its data of ${size} bytes at ${start} does not lie in the file`, name);
    const kind = payloadSizes(blockSize, blocks, flags === undefined ? 1 : 2).find(
      (kind) =>
        kind.size === size &&
        (flags === undefined ||
          (kind.doubleQuant === ((flags & FLAGS.doubleQuant) !== 0) &&
            kind.zeroPoints === ((flags & FLAGS.zeroPoints) !== 0))),
    );
    if (!kind) return refuse('tensor-size', `its data of ${size} bytes fits no kind of scales`, name);
    // Version 1 does not name the strategy. A block a channel decodes alike either way.
    const perChannel =
      flags === undefined ? shape.length > 1 && blocks === shape[0] : (flags & FLAGS.perChannel) !== 0;
    if (perChannel && blocks !== shape[0])
      refuse('channels', `${blocks} blocks are not the channels of ${show(shape)}`, name);
    if (blockSize === 0 && (kind.zeroPoints || !perChannel)) refuse('block-size', 'block size is 0', name);
    payloads.set(name, {
      ...kind,
      version: flags === undefined ? 1 : 2,
      shape,
      blockSize,
      blocks,
      perChannel,
      start,
    });
    start += size;
  }
  if (start !== fileSize) refuse('file-size', `the data ends at ${start}, the file at ${fileSize}`);
  return payloads;
}

function file(
  bytes: ByteSource,
  version: 1 | 2,
  payloads: ReadonlyMap<string, Payload>,
  json: Readonly<Record<string, string>>,
): QnatFile {
  // Ranges are taken from a tensor's codes, which are kept until another one is asked for.
  let last: { readonly name: string; readonly tensor: Promise<QuantizedTensor> } | undefined;
  const kept = (name: string): Promise<QuantizedTensor> => {
    if (last?.name === name) return last.tensor;
    const entry = { name, tensor: result.readQuantized(name) };
    last = entry;
    // What failed once is tried again.
    entry.tensor.catch(() => {
      if (last === entry) last = undefined;
    });
    return entry.tensor;
  };
  const result: QnatFile = {
    version,
    dialect: 'qlora-rs',
    label: bytes.label,
    json,
    metadata: new Map(Object.entries(json)),
    tensors: [...payloads].map(([name, { shape }]) => ({ name, shape, dtype: 'f32' })),
    quantized: new Map([...payloads].map(([name, payload]) => [name, infoOf(payload)])),
    async readQuantized(name) {
      const payload = payloads.get(name) ?? (findTensor(result, name) as never);
      return quantizedOf(payload, infoOf(payload), await bytes.read(payload.start, payload.size));
    },
    read: async (name) => dequantizeToTensor(await result.readQuantized(name), 'f32'),
    async readRange(name, start, count) {
      const info = findTensor(result, name);
      checkElements(info, start, count, bytes.label);
      const quantized = await kept(name);
      const sections = sectionsInMemory(quantized);
      const values = await decodeRange({ ...quantized, doubleQuant: false }, start, count, sections);
      return tensor('f32', [count], values);
    },
    close: () => bytes.close(),
  };
  return result;
}

function infoOf({ shape, blockSize, zeroPoints, perChannel }: Payload): QuantizedInfo {
  // Our zero-point strategy takes blocks of any length, a channel's too.
  const strategy = zeroPoints ? 'zero-point' : perChannel ? 'per-channel' : 'blockwise';
  // Its 8-bit scales are not bitsandbytes', so they are decoded when read.
  const common = { scheme: 'nf4', strategy, blockSize, doubleQuant: false, shape, dtype: 'f32' as const };
  return strategy === 'per-channel' ? { ...common, axis: 0 } : common;
}
