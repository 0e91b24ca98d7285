// QNAT files made wrong, by chance and by seed: blindly, and by someone who knows the format and makes sizes and checksums
// right again, so that what is wrong is met as far inside the reader as possible.
import { bytesOf, type Random } from '@qlora/tensor';
import { jsonTokens, mutateBytes as mutateBlindly, pick, place } from '@qlora-tooling/fuzz';
import { crc32 } from '../header';
import { sectionOffsets, sectionSizes } from '../layout';
import { forge, type Json } from './forge';

const NUMBERS = [0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 65, 128, 255, 256, 257, 4096, 65535, 65536];
const LARGE = [
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 52,
  2 ** 53 - 1,
  2 ** 53,
  1e300,
  -1,
  -64,
  0.5,
];
const BYTES = [0, 1, 0x22, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xff];
const TEXTS = [
  '',
  'a',
  '__proto__',
  'constructor',
  'f32',
  'f16',
  'i64',
  'nf4',
  'fp4',
  'blockwise',
  'per-channel',
];
const MORE_TEXTS = [
  'zero-point',
  'dynamic8',
  'values',
  'codes',
  'scales',
  '00000000',
  'ffffffff',
  '\ud800',
  '😀',
];
/** What JSON has that JSON.stringify does not write. */
const WORDS = [
  '-0',
  '4.0',
  '1e2',
  '1e999',
  '-1e999',
  '00',
  '+1',
  '.5',
  'NaN',
  '"\\u0000"',
  '"\\ud800"',
  '[',
  '{"a":1}',
];
const FIELDS = [
  'name',
  'dtype',
  'shape',
  'offset',
  'size',
  'crc32',
  'sections',
  'scheme',
  'strategy',
  'axis',
];
const MORE_FIELDS = ['block_size', 'nested_block_size', 'nested_map', 'x', '__proto__'];

function anyValue(rng: Random, depth = 0): unknown {
  const kind = rng.integer(depth > 2 ? 4 : 6);
  if (kind < 2) return pick(rng, rng.integer(3) ? NUMBERS : LARGE);
  if (kind === 2) return pick(rng, rng.integer(2) ? TEXTS : MORE_TEXTS);
  if (kind === 3) return pick(rng, [null, true, false]);
  if (kind === 4) return Array.from({ length: rng.integer(5) }, () => anyValue(rng, depth + 1));
  return { [pick(rng, TEXTS)]: anyValue(rng, depth + 1) };
}

/** Bytes changed without knowing what they are. */
export function mutateBytes(bytes: Uint8Array, rng: Random): Uint8Array<ArrayBuffer> {
  return mutateBlindly(bytes, rng, { bytes: BYTES });
}

/** A number in 32 or 64 bits anywhere, as the files of the crate and headers are made of. */
export function mutateNumber(bytes: Uint8Array, rng: Random, end = bytes.length): Uint8Array<ArrayBuffer> {
  const copy = bytes.slice();
  if (copy.length < 8) return copy;
  const view = new DataView(copy.buffer);
  const at = rng.integer(Math.min(end, copy.length) - 7);
  const old = view.getUint32(at, true);
  const near = pick(rng, [old + 1, old - 1, old * 2, old >>> 1, ...NUMBERS, 2 ** 31, 2 ** 32 - 1]);
  if (rng.integer(2)) view.setUint32(at, near, true);
  else view.setBigUint64(at, pick(rng, [BigInt(near >>> 0), 1n << BigInt(rng.integer(64)), ~0n]), true);
  return copy;
}

/** A file of version 2 with something changed, and all else put right. */
export function mutateStructure(file: Uint8Array, rng: Random): Uint8Array<ArrayBuffer> {
  switch (rng.integer(8)) {
    case 0:
      return forge(file, { raw: (raw) => void raw.set(sameLength(mutateBytes(raw, rng), raw)) });
    case 1:
      return forge(file, { text: (text) => mutateText(text, rng) });
    case 2: {
      const header = (view: DataView) => {
        const bytes = new Uint8Array(view.buffer, 0, 60);
        bytes.set(mutateNumber(bytes, rng).subarray(0, 60));
      };
      return forge(file, { header });
    }
    case 3:
      return forge(file, { directory: (json) => mutateField(json, rng) });
    case 4:
      return forge(file, { data: (tail) => mutateBytes(tail, rng) });
    default:
      return rebuilt(file, rng);
  }
}

const sameLength = (bytes: Uint8Array, as: Uint8Array) => bytes.subarray(0, as.length);

/** The directory's text with a token changed, doubled, moved or left out. */
function mutateText(text: string, rng: Random): string {
  const tokens = jsonTokens(text);
  const at = place(rng, tokens.length);
  const other = place(rng, tokens.length);
  switch (rng.integer(6)) {
    case 0:
      tokens[at] = pick(rng, WORDS);
      break;
    case 1:
      tokens[at] = tokens[other] ?? '';
      break;
    case 2:
      [tokens[at], tokens[other]] = [tokens[other] ?? '', tokens[at] ?? ''];
      break;
    case 3:
      tokens.splice(at, 1 + rng.integer(4));
      break;
    case 4:
      tokens.splice(at, 0, ...tokens.slice(other, other + 1 + rng.integer(24)));
      break;
    default: {
      const depth = pick(rng, [2, 63, 65, 3000]);
      tokens[at] = '['.repeat(depth) + tokens[at] + ']'.repeat(depth);
    }
  }
  return tokens.join('');
}

function mutateField(json: Json, rng: Random): void {
  const entry = pick(rng, json.tensors);
  const other = pick(rng, json.tensors);
  const field = pick(rng, rng.integer(3) ? FIELDS : MORE_FIELDS);
  const set = (value: unknown) =>
    Object.defineProperty(entry, field, { value, enumerable: true, configurable: true, writable: true });
  switch (rng.integer(5)) {
    case 0:
      delete entry[field];
      break;
    case 1:
      set(other[field]);
      break;
    case 2:
      json.tensors.splice(place(rng, json.tensors.length), rng.integer(2), entry);
      break;
    default:
      set(anyValue(rng));
  }
}

/** What a tensor is changed into, and then given the bytes, sizes and checksum that this needs. */
function rebuilt(file: Uint8Array, rng: Random): Uint8Array<ArrayBuffer> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const dataStart = Number(view.getBigUint64(32, true));
  const parts: Uint8Array[] = [];
  let flags = 0;
  const directory = (json: Json) => {
    const target = pick(rng, json.tensors);
    for (let changes = 1 + rng.integer(3); changes > 0; changes--) reshape(target, rng);
    let end = 0;
    for (const entry of json.tensors) {
      const old = file.subarray(
        dataStart + Number(entry.offset),
        dataStart + Number(entry.offset) + Number(entry.size),
      );
      const bytes = entry === target ? (laidOut(entry, old, rng) ?? old) : old;
      Object.assign(entry, { offset: end, size: bytes.length, crc32: hex(crc32(bytes)) });
      parts.push(bytes);
      end += bytes.length;
      if (entry.scheme !== undefined)
        flags |= 1 | (entry.nested_map === undefined ? 0 : 2) | (entry.strategy === 'zero-point' ? 4 : 0);
    }
  };
  return forge(file, {
    directory,
    data(tail) {
      const padding = tail.length - (file.length - dataStart);
      const all = new Uint8Array(padding + parts.reduce((sum, { length }) => sum + length, 0));
      let at = padding;
      for (const part of parts) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    },
    header: (head) => head.setUint32(8, flags, true),
  });
}

const hex = (checksum: number) => checksum.toString(16).padStart(8, '0');

function reshape(entry: Record<string, unknown>, rng: Random): void {
  const shape = Array.isArray(entry.shape) ? (entry.shape as number[]) : [];
  switch (rng.integer(7)) {
    case 0:
      entry.shape = pick(rng, [
        [...shape].reverse(),
        [1, ...shape],
        [...shape, 1],
        [],
        [0, ...shape],
        [...shape, 0],
      ]);
      break;
    case 1:
      entry.shape = shape.map((length) =>
        rng.integer(2) ? length : pick(rng, [0, 1, 2, 3, 5, 16, 31, 32, 33]),
      );
      break;
    case 2:
      entry.strategy = pick(rng, ['blockwise', 'per-channel', 'zero-point']);
      if (entry.strategy === 'per-channel') {
        delete entry.block_size;
        entry.axis = place(rng, shape.length);
      } else {
        delete entry.axis;
        entry.block_size = pick(rng, NUMBERS);
      }
      break;
    case 3:
      if (entry.strategy === 'per-channel') entry.axis = rng.integer(4);
      else if (entry.strategy !== undefined) entry.block_size = pick(rng, rng.integer(4) ? NUMBERS : LARGE);
      break;
    case 4:
      entry.dtype = pick(rng, ['f64', 'f32', 'f16', 'bf16', 'i8', 'u64', 'bool']);
      break;
    case 5:
      if (entry.scheme === undefined)
        Object.assign(entry, { scheme: 'nf4', strategy: 'blockwise', block_size: 32 });
      else if (entry.nested_map === undefined)
        Object.assign(entry, { nested_block_size: 256, nested_map: 'dynamic8' });
      else {
        delete entry.nested_block_size;
        delete entry.nested_map;
      }
      break;
    default:
      entry.scheme = pick(rng, ['nf4', 'fp4']);
  }
}

/** The bytes that an entry needs, old ones where there are some; undefined for one that cannot be laid out. */
function laidOut(entry: Record<string, unknown>, old: Uint8Array, rng: Random): Uint8Array | undefined {
  const {
    dtype,
    shape,
    scheme,
    strategy,
    axis,
    block_size: blockSize,
    nested_map: nested,
  } = entry as never as {
    dtype: 'f32';
    shape: number[];
    scheme?: string;
    strategy: string;
    axis?: number;
    block_size?: number;
    nested_map?: string;
  };
  try {
    const common = { scheme: scheme ?? '', strategy, shape, dtype, doubleQuant: nested !== undefined };
    const info = { ...common, blockSize: blockSize ?? 1, ...(axis === undefined ? {} : { axis }) };
    const sizes = sectionSizes({ dtype, shape, ...(scheme === undefined ? {} : { quantized: info }) });
    const { offsets, size } = sectionOffsets(sizes);
    if (!(size <= 65536)) return undefined;
    entry.sections = Object.fromEntries([...sizes].map(([key, length]) => [key, [offsets.get(key), length]]));
    const bytes = new Uint8Array(size);
    const isDirty = rng.integer(8) === 0;
    for (const [key, length] of sizes)
      for (let i = 0, at = offsets.get(key) ?? 0; i < length + Number(isDirty); i++)
        bytes[at + i] = old[(at + i) % Math.max(1, old.length)] ?? 0;
    if (bytes.length > 0 && rng.integer(8) === 0)
      bytesOf(bytes)[rng.integer(bytes.length)] = rng.integer(256);
    return bytes;
  } catch {
    return undefined;
  }
}
