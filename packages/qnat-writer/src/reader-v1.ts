// QNAT version 1 as qlora-rs 1.0.5 writes it (src/native.rs), which is not what its documentation says:
//
// - The header is 28 bytes: magic, version, flags (always 0), metadata size (u64, always 0), tensor count, reserved.
// - The metadata follows at once: two strings and a byte. Tensor headers follow it: name, shape, block size, offset,
//   number of blocks.
// - The offsets assume a header of 32 bytes and a metadata of fixed length, so they point nowhere; but each is the one
//   before plus the size of its data, so their differences tell the sizes. The data begins right after the headers.
// - Nothing says whether there are zero points or double-quantized scales; the size of the data does, uniquely: with b
//   blocks they add 4·b and b + 4 bytes.
// - Codes have the first value in the LOW nibble. Zero points are in units of the scale: (codebook + zero) · scale.
// - Double-quantized scales lie beside the plain ones; the crate decodes with them, so we do too.
import { dequantizeToTensor, type QuantizedInfo, type QuantizedTensor } from '@qlora/quant-strategies';
import { type ByteSource, elementCount, findTensor, QloraError, viewAs } from '@qlora/tensor';
import type { QnatFile } from './reader';

const HEADER = 28;
const MAX_HEADERS = 64 * 1024 * 1024;
const COMPUTE_TYPES = ['f32', 'f16', 'bf16'] as const;

interface Record1 {
  readonly name: string;
  readonly shape: number[];
  readonly blockSize: number;
  readonly blocks: number;
  readonly offset: number;
}

interface Placed extends Record1 {
  readonly start: number;
  readonly codeBytes: number;
  readonly zeroPoints: boolean;
  readonly doubleQuant: boolean;
  readonly size: number;
}

type Refuse = (rule: string, what: string, where?: string, fix?: string) => never;

/** Opens a version 1 file; `openQnat` calls it. */
export async function openQnatV1(bytes: ByteSource, refuse: Refuse): Promise<QnatFile> {
  const head = (await bytes.read(0, Math.min(bytes.size, MAX_HEADERS))).slice();
  const view = new DataView(head.buffer);
  let at = HEADER;
  const take = (length: number, what: string): number => {
    if (length > head.length - at) return refuse('v1/truncated', `${what} runs over the end of the file`);
    at += length;
    return at - length;
  };
  const u32 = (what: string) => view.getUint32(take(4, what), true);
  const u64 = (what: string) => {
    const value = view.getBigUint64(take(8, what), true);
    return value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : refuse('v1/overflow', `${what} is ${value}`);
  };
  const string = (what: string) => {
    const length = u32(`the length of ${what}`);
    const from = take(length, what);
    return new TextDecoder().decode(head.subarray(from, from + length));
  };
  const count = view.getUint32(20, true);
  // A tensor header takes 24 bytes at least.
  if (count * 24 > bytes.size)
    return refuse('v1/tensor-count', `${count} tensors cannot fit into ${bytes.size} bytes`);
  const modelName = string('the model name');
  const modelType = string('the model type');
  const computeByte = head[take(1, 'the compute type')] ?? 0;
  const computeType =
    COMPUTE_TYPES[computeByte] ??
    refuse('v1/compute-type', `compute type is ${computeByte}`, undefined, '0, 1 or 2 is needed');
  const records = Array.from({ length: count }, (): Record1 => {
    const name = string('a tensor name');
    const rank = u32(`the rank of ${name}`);
    if (rank > 16) return refuse('v1/rank', `rank is ${rank}`, name);
    const shape = Array.from({ length: rank }, () => u64(`the shape of ${name}`));
    const blockSize = u32(`the block size of ${name}`);
    const offset = u64(`the offset of ${name}`);
    const blocks = u32(`the block count of ${name}`);
    return { name, shape, blockSize, offset, blocks };
  });
  const placed = place(records, at, bytes.size, refuse);
  return file(bytes, placed, { model_name: modelName, model_type: modelType, compute_dtype: computeType });
}

function place(
  records: readonly Record1[],
  dataStart: number,
  fileSize: number,
  refuse: Refuse,
): Map<string, Placed> {
  const placed = new Map<string, Placed>();
  let start = dataStart;
  for (const [index, record] of records.entries()) {
    const { name, shape, blockSize, blocks } = record;
    if (placed.has(name)) refuse('v1/duplicate-name', 'is there twice', name);
    const count = shape.reduce((a, b) => a * b, 1);
    if (!Number.isSafeInteger(count) || count !== blockSize * blocks) {
      refuse(
        'v1/block-count',
        `${blocks} blocks of ${blockSize} are not the ${count} values of [${shape}]`,
        name,
      );
    }
    const next = records[index + 1];
    const size = next ? next.offset - record.offset : fileSize - start;
    if (size < 0 || start + size > fileSize)
      refuse('v1/outside', `its data of ${size} bytes at ${start} runs over the end`, name);
    const codeBytes = blocks * Math.ceil(blockSize / 2);
    const extra = size - codeBytes - 4 * blocks;
    const kinds: [number, boolean, boolean][] = [
      [0, false, false],
      [4 * blocks, true, false],
      [blocks + 4, false, true],
      [5 * blocks + 4, true, true],
    ];
    const kind = kinds.find(([bytes]) => bytes === extra);
    if (!kind) return refuse('v1/tensor-size', `its data of ${size} bytes fits no kind of scales`, name);
    placed.set(name, { ...record, start, size, codeBytes, zeroPoints: kind[1], doubleQuant: kind[2] });
    start += size;
  }
  if (start !== fileSize) refuse('v1/file-size', `the data ends at ${start}, the file at ${fileSize}`);
  return placed;
}

function file(
  bytes: ByteSource,
  placed: ReadonlyMap<string, Placed>,
  json: Record<string, string>,
): QnatFile {
  const infoOf = ({ shape, blockSize, blocks, zeroPoints }: Placed): QuantizedInfo => {
    // The file does not name its strategy; a block a channel decodes alike either way, and channels of odd length, which
    // do not share a byte, are per-channel here.
    const channels = !zeroPoints && shape.length > 1 && blocks === shape[0];
    const strategy = zeroPoints ? 'zero-point' : channels ? 'per-channel' : 'blockwise';
    return {
      scheme: 'nf4',
      strategy,
      blockSize,
      doubleQuant: false,
      shape,
      dtype: 'f32',
      ...(channels ? { axis: 0 } : {}),
    };
  };
  const result: QnatFile = {
    version: 1,
    label: bytes.label,
    json,
    metadata: new Map(Object.entries(json)),
    tensors: [...placed.values()].map(({ name, shape }) => ({ name, shape, dtype: 'f32' })),
    quantized: new Map([...placed].map(([name, record]) => [name, infoOf(record)])),
    async readQuantized(name) {
      const record = placed.get(name) ?? (findTensor(result, name) as never);
      return decode(record, infoOf(record), (await bytes.read(record.start, record.size)).slice());
    },
    read: async (name) => dequantizeToTensor(await result.readQuantized(name), 'f32'),
    close: () => bytes.close(),
  };
  return result;
}

function decode(record: Placed, info: QuantizedInfo, data: Uint8Array): QuantizedTensor {
  const { blocks, codeBytes, zeroPoints, doubleQuant, blockSize } = record;
  let at = codeBytes;
  const floats = (count: number) => {
    at += 4 * count;
    return viewAs('f32', data.slice(at - 4 * count, at));
  };
  const codes = data.slice(0, codeBytes).map((byte) => ((byte & 15) << 4) | (byte >> 4));
  const plain = floats(blocks);
  const zeros = zeroPoints ? floats(blocks) : undefined;
  const scales = doubleQuant
    ? restore(data.subarray(at, at + blocks), viewAs('f32', data.slice(at + blocks)))
    : plain;
  if (zeros && blockSize % 2 === 1) {
    throw new QloraError({
      what: 'zero points on channels of odd length cannot be read',
      where: record.name,
    });
  }
  const { doubleQuant: _, axis, ...common } = info;
  return {
    ...common,
    ...(axis === undefined ? {} : { axis }),
    codes: codes.subarray(
      0,
      zeros || blockSize % 2 === 0 ? Math.ceil(elementCount(info.shape) / 2) : codeBytes,
    ),
    scales: { kind: 'plain', values: scales },
    ...(zeros ? { zeroPoints: zeros.map((zero, i) => zero * (scales[i] ?? 0)) } : {}),
  };
}

/** (code − 128) · factor, as the crate's dequantize_double_scales. */
function restore(codes: Uint8Array, factor: Float32Array): Float32Array {
  return Float32Array.from(codes, (code) => (code - 128) * (factor[0] ?? 0));
}
