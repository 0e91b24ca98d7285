// The header of a safetensors file and every rule that the reference implementation has for it (safetensors/src/
// tensor.rs, version 0.8): eight bytes of length, then JSON, then the tensors' bytes without holes. Nothing is allocated
// on the word of the file before its sizes are known to lie inside it.
import { type ByteSource, duplicateKey, QloraError } from '@qlora/tensor';
import { bitsOf } from './dtypes';

/** The reference's own limit. */
export const MAX_HEADER_BYTES = 100_000_000;

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

/**
 * Reads and checks the header.
 * @throws QloraError with the rule that is broken, the file, and the tensor and field.
 */
export async function readSafetensorsHeader(bytes: ByteSource): Promise<SafetensorsHeader> {
  const refuse = (rule: string, what: string, where?: string, fix?: string): never => {
    throw new QloraError({
      rule: `safetensors/${rule}`,
      what,
      where: [bytes.label, where],
      ...(fix ? { fix } : {}),
    });
  };
  const truncated = 'the file is truncated or no safetensors file: fetch it again';
  if (bytes.size < 8)
    return refuse('header-too-small', `${bytes.size} bytes are no safetensors file`, undefined, truncated);
  const length = new DataView((await bytes.read(0, 8)).slice().buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    return refuse(
      'header-too-large',
      `header length ${length} is above the limit of ${MAX_HEADER_BYTES}`,
      undefined,
      truncated,
    );
  }
  const headerLength = Number(length);
  const dataStart = 8 + headerLength;
  if (dataStart > bytes.size) {
    const what = `header length ${headerLength} exceeds the file's ${bytes.size} bytes`;
    return refuse('invalid-header-length', what, undefined, truncated);
  }
  const json = parseHeader(await bytes.read(8, headerLength), refuse);

  const metadata = new Map<string, string>();
  const entries: HeaderEntry[] = [];
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') readMetadata(value, metadata, refuse);
    else entries.push(readEntry(name, value, dataStart, refuse));
  }
  entries.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = dataStart;
  for (const entry of entries) {
    if (entry.offset !== end) {
      const what = `its data begins at byte ${entry.offset - dataStart}, ${entry.offset < end ? 'inside' : 'not right after'} the one before, which ends at ${end - dataStart}`;
      return refuse('invalid-offset', what, entry.name);
    }
    end += entry.byteLength;
  }
  if (end !== bytes.size) {
    const what = `the tensors take ${end - dataStart} bytes, the file has ${bytes.size - dataStart} after its header`;
    return refuse('incomplete-buffer', what, undefined, truncated);
  }
  return { entries, metadata };
}

type Refuse = (rule: string, what: string, where?: string, fix?: string) => never;

function parseHeader(raw: Uint8Array, refuse: Refuse): Record<string, unknown> {
  if (raw[0] !== 0x7b) return refuse('invalid-header-start', 'the header does not begin with {');
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(raw);
  } catch {
    return refuse('invalid-header', 'the header is no UTF-8');
  }
  try {
    json = JSON.parse(text);
  } catch (error) {
    return refuse('invalid-header', `the header is no JSON: ${(error as Error).message}`);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) return refuse('duplicate-key', `the key "${twice}" is there twice`);
  return json as Record<string, unknown>;
}

function readMetadata(value: unknown, metadata: Map<string, string>, refuse: Refuse): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse('invalid-metadata', 'is no object', '__metadata__');
  }
  for (const [key, text] of Object.entries(value as object)) {
    if (typeof text !== 'string') refuse('invalid-metadata', `"${key}" is no string`, '__metadata__');
    metadata.set(key, text as string);
  }
}

function readEntry(name: string, value: unknown, dataStart: number, refuse: Refuse): HeaderEntry {
  if (typeof value !== 'object' || value === null) return refuse('invalid-entry', 'is no object', name);
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  const known = ['dtype', 'shape', 'data_offsets'];
  const extra = Object.keys(value).find((key) => !known.includes(key));
  if (extra !== undefined) return refuse('unknown-field', `has a field "${extra}"`, name);
  const bits = typeof dtype === 'string' ? bitsOf(dtype) : undefined;
  if (typeof dtype !== 'string' || bits === undefined) {
    return refuse(
      'unknown-dtype',
      `dtype is ${JSON.stringify(dtype)}`,
      name,
      'F32, F16, BF16 and their kin are known',
    );
  }
  if (!isSizes(shape))
    return refuse('invalid-shape', `shape is ${JSON.stringify(shape)}`, name, 'a list of sizes is needed');
  if (!isSizes(offsets) || offsets.length !== 2) {
    return refuse(
      'invalid-offset',
      `data_offsets is ${JSON.stringify(offsets)}`,
      name,
      'two byte positions are needed',
    );
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) return refuse('invalid-offset', `data_offsets [${begin}, ${end}] run backwards`, name);
  let count = 1;
  for (const size of shape) count *= size;
  const totalBits = count * bits;
  if (!Number.isSafeInteger(totalBits))
    return refuse('validation-overflow', `shape [${shape.join(', ')}] overflows`, name);
  if (totalBits % 8 !== 0)
    return refuse('misaligned-slice', `shape [${shape.join(', ')}] of ${dtype} ends inside a byte`, name);
  if (totalBits / 8 !== end - begin) {
    const what = `shape [${shape.join(', ')}] of ${dtype} needs ${totalBits / 8} bytes, data_offsets give ${end - begin}`;
    return refuse('tensor-invalid-info', what, name);
  }
  return { name, dtype, shape, offset: dataStart + begin, byteLength: end - begin };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
