// The header of a safetensors file and every rule that the reference implementation has for it
// (safetensors/src/tensor.rs, version 0.8.0; the names are in rules.ts): eight bytes of length, then JSON,
// then the tensors' bytes without holes. Nothing is allocated on the word of the file before its sizes are
// known to lie inside it. Where the reference takes more than the format's description allows, or what
// readers may understand differently, this refuses it.
import { type ByteSource, printable, printableShape, QloraError } from '@qlora/tensor';
import { type FileDType, fileDType } from './dtypes';
import { JsonReader } from './json-reader';
import type { SafetensorsRule } from './rules';

/** The reference's own limit. */
export const MAX_HEADER_BYTES = 100_000_000;

/**
 * Most axes of a tensor. The reference has no limit; NumPy's is 64. Without one a header could ask for 16
 * times its size.
 */
export const MAX_AXES = 1000;

/**
 * Most pairs of `__metadata__`. The reference has no limit; a file has a handful, and each may take 100 bytes
 * of memory.
 */
export const MAX_METADATA = 100_000;

/** An entry of the directory, as the file has it. */
export interface HeaderEntry {
  readonly name: string;
  /** The file's name for the dtype: `BF16`, `F8_E4M3`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Position of its first byte in the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** A checked header. */
export interface SafetensorsHeader {
  /** Entries in the order of their data. */
  readonly entries: readonly HeaderEntry[];
  readonly metadata: ReadonlyMap<string, string>;
}

type Refuse = (rule: SafetensorsRule, what: string, where?: string, fix?: string) => never;

const FETCH_AGAIN = 'the file is truncated or no safetensors file: fetch it again';

/**
 * Reads and checks the header. Takes memory in proportion to the header, and reads nothing else.
 * @throws QloraError with the rule that is broken (see {@link SafetensorsRule}), the file, and the tensor.
 */
export async function readSafetensorsHeader(bytes: ByteSource): Promise<SafetensorsHeader> {
  const refuse: Refuse = (rule, what, name, fix) => {
    const where = [bytes.label, name === undefined ? undefined : printable(name)];
    throw new QloraError({ rule: `safetensors/${rule}`, what, where, ...(fix ? { fix } : {}) });
  };
  const refuseFile = (rule: SafetensorsRule, what: string) => refuse(rule, what, undefined, FETCH_AGAIN);
  if (bytes.size < 8) return refuseFile('header-too-small', `${bytes.size} bytes are no safetensors file`);
  const length = new DataView((await bytes.read(0, 8)).slice().buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES))
    return refuseFile(
      'header-too-large',
      `header length ${length} is above the limit of ${MAX_HEADER_BYTES}`,
    );
  const dataStart = 8 + Number(length);
  if (dataStart > bytes.size) {
    const what = `header length ${length} exceeds the file's ${bytes.size} bytes`;
    return refuseFile('invalid-header-length', what);
  }
  const { entries, metadata } = parseHeader(await bytes.read(8, Number(length)), dataStart, refuse);
  const end = checkLayout(entries, dataStart, refuse);
  if (end !== bytes.size) {
    const what = `the tensors take ${end - dataStart} bytes, the file has ${bytes.size - dataStart} after its header`;
    return refuseFile('incomplete-buffer', what);
  }
  return { entries, metadata };
}

/** The entries in the order of their data, and the metadata. */
function parseHeader(raw: Uint8Array, dataStart: number, refuse: Refuse) {
  // The description of the format says MUST; the reference takes whitespace before it.
  if (raw[0] !== 0x7b) refuse('invalid-header-start', 'the header does not begin with {');
  const json = new JsonReader(raw, (fault, what) => refuse(fault, `in the header, ${what}`));
  const entries = new Map<string, HeaderEntry>();
  let metadata: Map<string, string> | undefined;
  json.object((name) => {
    if (entries.has(name) || (name === '__metadata__' && metadata))
      refuse('duplicate-key', 'is there twice', name);
    if (name === '__metadata__') metadata = readMetadata(json, refuse);
    else entries.set(name, readEntry(json, name, dataStart, refuse));
  });
  json.end();
  const sorted = [...entries.values()].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  return { entries: sorted, metadata: metadata ?? new Map<string, string>() };
}

function readMetadata(json: JsonReader, refuse: Refuse): Map<string, string> {
  const name = '__metadata__';
  const metadata = new Map<string, string>();
  if (!json.isObject()) refuse('invalid-metadata', `is ${printable(json.excerpt())}, not an object`, name);
  json.object((key) => {
    if (metadata.has(key)) refuse('duplicate-key', `has the key ${printable(key)} twice`, name);
    if (!json.isString())
      refuse(
        'invalid-metadata',
        `the value of ${printable(key)} is ${printable(json.excerpt())}, not text`,
        name,
      );
    metadata.set(key, json.string());
    if (metadata.size > MAX_METADATA)
      refuse('too-many-metadata', `has more than ${MAX_METADATA} pairs`, name);
  });
  return metadata;
}

function readEntry(json: JsonReader, name: string, dataStart: number, refuse: Refuse): HeaderEntry {
  if (!json.isObject()) refuse('invalid-entry', `is ${printable(json.excerpt())}, not an object`, name);
  let dtype: FileDType | undefined;
  let shape: readonly number[] | undefined;
  let offsets: readonly number[] | undefined;
  json.object((field) => {
    if (field === 'dtype' && !dtype) dtype = readDType(json, name, refuse);
    else if (field === 'shape' && !shape) shape = readSizes(json, 'shape', name, refuse);
    else if (field === 'data_offsets' && !offsets) offsets = readSizes(json, 'data_offsets', name, refuse);
    else if (field === 'dtype' || field === 'shape' || field === 'data_offsets')
      refuse('duplicate-key', `has ${field} twice`, name);
    else refuse('unknown-field', `has a field ${printable(field)}`, name);
  });
  if (!dtype || !shape || !offsets) {
    const missing = dtype ? (shape ? 'data_offsets' : 'shape') : 'dtype';
    return refuse('missing-field', `has no ${missing}`, name);
  }
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || offsets.length !== 2) {
    const what = `data_offsets is ${printableShape(offsets)}`;
    return refuse('invalid-data-offsets', what, name, 'two byte positions are needed');
  }
  // Whether they fit together is seen when all are known: what is there twice is refused for that, as in the
  // reference.
  return { name, dtype: dtype.name, shape, offset: dataStart + begin, byteLength: end - begin };
}

function readDType(json: JsonReader, name: string, refuse: Refuse): FileDType {
  if (!json.isString())
    return refuse('unknown-dtype', `dtype is ${printable(json.excerpt())}, not text`, name);
  const written = json.string();
  const fix = 'F32, F16, BF16 and their kin are known';
  return fileDType(written) ?? refuse('unknown-dtype', `dtype is ${printable(written)}`, name, fix);
}

/** Sizes of one list, to be copied from, so that no list takes more than its items. */
const scratch: number[] = [];

function readSizes(
  json: JsonReader,
  field: 'shape' | 'data_offsets',
  name: string,
  refuse: Refuse,
): number[] {
  const rule = `invalid-${field === 'shape' ? 'shape' : 'data-offsets'}` as const;
  const fix = 'a list of whole numbers is needed';
  if (!json.isList()) refuse(rule, `${field} is ${printable(json.excerpt())}`, name, fix);
  let count = 0;
  json.list(() => {
    const size = json.wholeNumber();
    if (Number.isNaN(size)) refuse(rule, `${field} has ${printable(json.excerpt())}`, name, fix);
    if (size > Number.MAX_SAFE_INTEGER)
      refuse('integer-too-large', `${field} has a number above 2^53 − 1`, name);
    if (count === MAX_AXES) {
      const what = `${field} has more than ${MAX_AXES} numbers`;
      refuse(field === 'shape' ? 'too-many-axes' : rule, what, name);
    }
    scratch[count++] = size;
  });
  return scratch.slice(0, count);
}

const U64_MAX = (1n << 64n) - 1n;

/** Checks that a dtype and a shape take the bytes that the offsets give them. */
function checkSize({ name, dtype, shape, byteLength }: HeaderEntry, refuse: Refuse): void {
  // The reference multiplies in 64 bits, from the first axis on: [2^40, 2^40, 0] overflows, [0, 2^40, 2^40]
  // does not.
  let count: number | bigint = 1;
  for (const axis of shape) {
    const product: number = Number(count) * axis;
    count = Number.isSafeInteger(product) ? product : BigInt(count) * BigInt(axis);
    if (count > U64_MAX) refuse('validation-overflow', `shape ${printableShape(shape)} overflows`, name);
  }
  const what = `shape ${printableShape(shape)} of ${dtype}`;
  const bits = BigInt(count) * BigInt(fileDType(dtype)?.bits ?? 0);
  if (bits > U64_MAX) refuse('validation-overflow', `${what} overflows`, name);
  if (bits % 8n !== 0n) refuse('misaligned-slice', `${what} ends inside a byte`, name);
  if (bits / 8n !== BigInt(byteLength))
    refuse('tensor-invalid-info', `${what} needs ${bits / 8n} bytes, data_offsets give ${byteLength}`, name);
}

/**
 * Checks each entry, and that its data begins where that of the one before ends. Gives the end of the last.
 */
function checkLayout(entries: readonly HeaderEntry[], dataStart: number, refuse: Refuse): number {
  let end = dataStart;
  for (const entry of entries) {
    const { name, offset, byteLength } = entry;
    const begin = offset - dataStart;
    if (byteLength < 0)
      refuse('offset-order', `data_offsets [${begin}, ${begin + byteLength}] run backwards`, name);
    if (offset !== end) {
      const [rule, how] =
        offset < end ? (['overlap', 'inside'] as const) : (['hole', 'not right after'] as const);
      const what = `its data begins at byte ${begin}, ${how} the one before, which ends at ${end - dataStart}`;
      refuse(rule, what, name);
    }
    checkSize(entry, refuse);
    end += byteLength;
  }
  return end;
}
