// The directory of QNAT version 2: JSON, because it holds a model's configuration and tokenizer anyway and because it can
// be read with any language's library. Every field is checked here, before anything of its size is made. The writer
// passes its own directory through the same checks, so it writes nothing that the reader would refuse.
import { codecNames, type QuantizedInfo } from '@qlora/quant-strategies';
import {
  DTYPES,
  type DType,
  duplicateKey,
  elementCount,
  isFloat,
  type Shape,
  type TensorInfo,
} from '@qlora/tensor';
import { scanJson } from './json-scan';
import {
  LIMITS,
  NESTED_BLOCK_SIZE,
  NESTED_MAP,
  QNAT_STRATEGIES,
  type QnatPlan,
  type Section,
  sectionOffsets,
  sectionSizes,
} from './layout';
import { type Refuse, show } from './refuse';

/** Anything that JSON can hold. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A tensor of the directory. */
export interface Entry {
  /** As a dense view shows it: quantized tensors are f32. */
  readonly info: TensorInfo;
  readonly quantized: QuantizedInfo | undefined;
  /** Position relative to the first tensor's first byte. */
  readonly offset: number;
  /** Bytes with padding. */
  readonly size: number;
  readonly crc32: number;
  /** Offset in the tensor, and length without padding. */
  readonly sections: ReadonlyMap<Section, readonly [offset: number, length: number]>;
}

/** A checked directory. */
export interface Directory {
  readonly metadata: JsonObject;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Bytes of all tensors. */
  readonly dataSize: number;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A tensor's entry. The checksum always has eight digits, so the directory's length never depends on it. */
export function describe(plan: QnatPlan, offset: number, checksum: number): JsonObject {
  const { name, dtype, shape, quantized: q } = plan;
  const sizes = sectionSizes(plan);
  const { offsets, size } = sectionOffsets(sizes);
  const sections = Object.fromEntries([...sizes].map(([key, length]) => [key, [offsets.get(key), length]]));
  const quantization = q
    ? {
        scheme: q.scheme,
        strategy: q.strategy,
        ...(q.strategy === 'per-channel' ? { axis: q.axis ?? 0 } : { block_size: q.blockSize }),
        ...(q.doubleQuant ? { nested_block_size: NESTED_BLOCK_SIZE, nested_map: NESTED_MAP } : {}),
      }
    : {};
  const crc32 = checksum.toString(16).padStart(8, '0');
  return { name, dtype: q?.dtype ?? dtype, shape, ...quantization, offset, size, crc32, sections };
}

/** Parses and checks a directory. */
export function parseDirectory(raw: Uint8Array, refuse: Refuse): Directory {
  const json = parseJson(raw, refuse);
  if (!isObject(json)) return refuse('directory', `the directory is ${show(json)}, not an object`);
  const { metadata, tensors } = json;
  if (!isObject(metadata)) return refuse('directory', `metadata is ${show(metadata)}, not an object`);
  if (!Array.isArray(tensors)) return refuse('directory', `tensors is ${show(tensors)}, not a list`);
  const extra = Object.keys(json).find((key) => key !== 'metadata' && key !== 'tensors');
  if (extra !== undefined) return refuse('directory', `has a field ${show(extra)} that is not known`);
  const entries = new Map<string, Entry>();
  let end = 0;
  for (const value of tensors) {
    const entry = parseEntry(value, refuse);
    const { name } = entry.info;
    if (entries.has(name)) return refuse('duplicate-name', 'is there twice', name);
    if (entry.offset !== end)
      return refuse(
        'offset',
        `begins at ${entry.offset}`,
        name,
        `${end} is needed, where the one before ends`,
      );
    end += entry.size;
    if (!Number.isSafeInteger(end)) return refuse('overflow', 'ends beyond 2^53', name);
    entries.set(name, entry);
  }
  return { metadata, entries, dataSize: end };
}

function parseJson(raw: Uint8Array, refuse: Refuse): unknown {
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    return refuse('directory-text', 'the directory is no UTF-8');
  }
  scanJson(raw, refuse);
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('directory-text', 'the directory is no JSON');
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) return refuse('duplicate-key', `an object has the key ${show(twice)} twice`);
  return json;
}

const COMMON = ['name', 'dtype', 'shape', 'offset', 'size', 'crc32', 'sections'];
const QUANTIZED = ['scheme', 'strategy', 'axis', 'block_size', 'nested_block_size', 'nested_map'];

function parseEntry(value: unknown, refuse: Refuse): Entry {
  if (!isObject(value)) return refuse('entry', `an entry is ${show(value)}, not an object`);
  const name = parseName(value.name, refuse);
  const quantized = value.scheme !== undefined;
  const extra = Object.keys(value).find(
    (key) => !COMMON.includes(key) && !(quantized && QUANTIZED.includes(key)),
  );
  if (extra !== undefined) return refuse('unknown-field', `has a field ${show(extra)}`, name);
  const { dtype } = value;
  if (!DTYPES.includes(dtype as DType))
    return refuse('dtype', `dtype is ${show(dtype)}`, name, `known: ${DTYPES.join(', ')}`);
  const shape = parseShape(value.shape, name, refuse);
  const info = quantized ? parseQuantization(value, name, shape, dtype as DType, refuse) : undefined;
  const sizes = sectionSizes({ dtype: dtype as DType, shape, ...(info ? { quantized: info } : {}) });
  const { offsets, size } = sectionOffsets(sizes);
  if (!Number.isSafeInteger(size)) return refuse('overflow', `shape ${show(shape)} overflows`, name);
  if (value.size !== size) {
    return refuse('tensor-size', `size is ${show(value.size)}`, name, `its shape and scheme need ${size}`);
  }
  const sections = new Map(
    [...sizes].map(([key, length]) => [key, [offsets.get(key) ?? 0, length] as const]),
  );
  checkSections(value.sections, sections, name, refuse);
  if (!isCount(value.offset)) return refuse('offset', `offset is ${show(value.offset)}`, name);
  if (typeof value.crc32 !== 'string' || !/^[0-9a-f]{8}$/.test(value.crc32)) {
    return refuse('crc32', `crc32 is ${show(value.crc32)}`, name, 'eight hexadecimal digits are needed');
  }
  return {
    info: { name, dtype: info ? 'f32' : (dtype as DType), shape },
    quantized: info,
    offset: value.offset,
    size,
    crc32: Number.parseInt(value.crc32, 16),
    sections,
  };
}

/** A whole number from 0 on; −0 is written with a sign, and no whole number to other parsers. */
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);

function parseName(name: unknown, refuse: Refuse): string {
  if (typeof name !== 'string') return refuse('name', `a tensor's name is ${show(name)}`);
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0 || bytes > LIMITS.nameBytes) {
    return refuse(
      'name',
      `a tensor's name has ${bytes} bytes`,
      name,
      `1 to ${LIMITS.nameBytes} bytes of UTF-8 are needed`,
    );
  }
  return name;
}

function parseShape(shape: unknown, name: string, refuse: Refuse): number[] {
  if (!Array.isArray(shape) || shape.length > LIMITS.rank || !shape.every(isCount)) {
    return refuse('shape', `shape is ${show(shape)}`, name, `at most ${LIMITS.rank} lengths are needed`);
  }
  // Zeros are left out, so that none hides an overflow of the others; 8 bytes is the largest element.
  const bytes = shape.filter((length) => length > 0).reduce((a, b) => a * b, 8);
  return Number.isSafeInteger(bytes) ? shape : refuse('overflow', `shape ${show(shape)} overflows`, name);
}

function parseQuantization(
  value: Readonly<Record<string, unknown>>,
  name: string,
  shape: Shape,
  dtype: DType,
  refuse: Refuse,
): QuantizedInfo {
  const { scheme, strategy, axis, block_size: blockSize } = value;
  if (typeof scheme !== 'string' || !codecNames().includes(scheme))
    return refuse('scheme', `scheme is ${show(scheme)}`, name, `known: ${codecNames().join(', ')}`);
  if (typeof strategy !== 'string' || !QNAT_STRATEGIES.includes(strategy))
    return refuse('strategy', `strategy is ${show(strategy)}`, name, `known: ${QNAT_STRATEGIES.join(', ')}`);
  if (!isFloat(dtype))
    return refuse(
      'quantized-dtype',
      `a quantized tensor's dtype is ${dtype}`,
      name,
      'a float type is needed',
    );
  const { nested_block_size: nested, nested_map: map } = value;
  const doubleQuant = nested !== undefined || map !== undefined;
  if (doubleQuant && (nested !== NESTED_BLOCK_SIZE || map !== NESTED_MAP)) {
    return refuse(
      'nested',
      `nested_block_size is ${show(nested)}, nested_map ${show(map)}`,
      name,
      `${NESTED_BLOCK_SIZE} and ${NESTED_MAP} are needed`,
    );
  }
  const common = { scheme, strategy, doubleQuant, shape, dtype };
  if (strategy === 'per-channel') {
    if (blockSize !== undefined || !isCount(axis) || axis >= shape.length)
      return refuse(
        'axis',
        `axis is ${show(axis)}`,
        name,
        'an axis of the shape and no block_size are needed',
      );
    const channels = shape[axis] ?? 0;
    return { ...common, axis, blockSize: channels === 0 ? 0 : elementCount(shape) / channels };
  }
  if (axis !== undefined || !isCount(blockSize) || blockSize < 1 || blockSize > LIMITS.blockSize) {
    return refuse(
      'block-size',
      `block_size is ${show(blockSize)}`,
      name,
      `1 to ${LIMITS.blockSize} and no axis are needed`,
    );
  }
  return { ...common, blockSize };
}

function checkSections(
  given: unknown,
  expected: ReadonlyMap<Section, readonly [number, number]>,
  name: string,
  refuse: Refuse,
): void {
  const right =
    isObject(given) &&
    Object.keys(given).length === expected.size &&
    [...expected].every(([key, [offset, length]]) => {
      const pair = Object.hasOwn(given, key) ? given[key] : undefined;
      return Array.isArray(pair) && pair.length === 2 && pair[0] === offset && pair[1] === length;
    });
  if (right) return;
  const needed = JSON.stringify(Object.fromEntries(expected));
  refuse('sections', `sections are not those of its shape and scheme`, name, `${needed} is needed`);
}
