// Reading the state of a bitsandbytes 4-bit weight: what a checkpoint's tensors and its JSON say, held to one
// another (bitsandbytes/functional.py, QuantState.from_dict and dequantize_4bit, version 0.50). Accepted is
// what that accepts and can decode:
//
// - codes in any type that `bnb_4bit_quant_storage` gives them: the packed bytes seen as that type, for FSDP;
// - scales in f32, or in f16 or bf16, which bitsandbytes widens when it decodes;
// - nested blocks of any power of two, and whatever 256 values the nested map has, though it writes 256 and
//   one map only;
// - a codebook that differs in its last digits: it is kept for reference, decoding takes the scheme's own.
import { createDynamicMap, NESTED_BLOCK_SIZE } from '@qlora/double-quant';
import { codecOf, type Scales } from '@qlora/quant-strategies';
import {
  byteLength,
  type DType,
  elementCount,
  isFloat,
  isTensor,
  printable,
  printableShape,
  QloraError,
  requireFinite,
  type TensorInfo,
  type TensorSource,
  toFloat32,
} from '@qlora/tensor';
import {
  BITSANDBYTES_BLOCK_SIZES,
  BITSANDBYTES_SCHEMES,
  type BitsandbytesInfo,
  TORCH_TYPES,
} from './bitsandbytes-tensors';

/** What is known of a stored weight before its codes and scales are read. */
export interface StoredState {
  readonly info: BitsandbytesInfo;
  readonly nestedOffset: number;
}

/** A weight's tensors, as a directory lists them. */
export interface StoredParts {
  /** The weight's name, which is that of the tensor of its codes. */
  readonly weight: string;
  /** The state's name, and what it says the scheme is. */
  readonly name: string;
  readonly scheme: string;
  readonly codes: TensorInfo | undefined;
  /** The tensor of that name beside it: `absmax`, … */
  part(suffix: string): TensorInfo | undefined;
}

// Far above any state, which has five to eight short fields.
const MAX_STATE_BYTES = 65536;

/**
 * Reads a weight's state.
 * @throws QloraError with rule `bitsandbytes/state` for a state that lies: unknown types, sizes that do not
 * agree.
 */
export async function readState(source: TensorSource, parts: StoredParts): Promise<StoredState> {
  const { weight, name, scheme, codes, part } = parts;
  const refuse = (what: string, fix?: string): never => {
    throw new QloraError({
      rule: 'bitsandbytes/state',
      what,
      where: [source.label, printable(name)],
      ...(fix ? { fix } : {}),
    });
  };
  const wrong = (field: string, value: unknown, fix?: string): never =>
    refuse(`${field} is ${printable(JSON.stringify(value) ?? 'missing')}`, fix);
  if (!BITSANDBYTES_SCHEMES.includes(scheme)) return wrong('the scheme', scheme, 'nf4 or fp4 is needed');

  const state = await readJson(source, name, refuse);
  const { quant_type: type, blocksize: blockSize, shape, dtype: torchType } = state;
  if (type !== scheme) return wrong('quant_type', type, `"${scheme}" is needed`);
  if (typeof blockSize !== 'number' || !BITSANDBYTES_BLOCK_SIZES.includes(blockSize))
    return wrong('blocksize', blockSize, 'a power of two from 32 to 4096 is needed');
  const dtype = (Object.keys(TORCH_TYPES) as DType[]).find((key) => TORCH_TYPES[key] === torchType);
  if (!dtype) return wrong('dtype', torchType, 'float32, float16 or bfloat16 is needed');
  if (!isShape(shape)) return wrong('shape', shape, 'whole numbers are needed, of at most 2^53 elements');
  const count = elementCount(shape);
  const blocks = Math.ceil(count / blockSize);

  const expect = (what: string, info: TensorInfo | undefined, length: number, types: readonly DType[]) => {
    if (info && types.includes(info.dtype) && elementCount(info.shape) === length) return;
    const found = info ? `${info.dtype} ${printableShape(info.shape)}` : 'missing';
    refuse(
      `${what} of ${printable(weight)} is ${found}`,
      `${types.join(' or ')} with ${length} elements is needed`,
    );
  };
  const bytes = Math.ceil(count / 2);
  if (!codes || byteLength(codes.dtype, codes.shape) !== bytes) expect('the codes', codes, bytes, ['u8']);
  expect('quant_map', part('quant_map'), 16, ['f32', 'f16', 'bf16']);
  const info = { scheme, strategy: 'blockwise', blockSize, shape, dtype };
  if (!part('nested_absmax')) {
    expect('absmax', part('absmax'), blocks, ['f32', 'f16', 'bf16']);
    return { info: { ...info, doubleQuant: false }, nestedOffset: 0 };
  }

  const { nested_blocksize: nestedBlockSize, nested_offset: offset, nested_dtype: nestedType } = state;
  if (!isPowerOfTwo(nestedBlockSize))
    return wrong('nested_blocksize', nestedBlockSize, 'a power of two is needed, and 256 is usual');
  if (typeof offset !== 'number' || !Number.isFinite(Math.fround(offset)))
    return wrong('nested_offset', offset);
  if (nestedType !== 'float32') return wrong('nested_dtype', nestedType, 'float32 is needed');
  expect('absmax', part('absmax'), blocks, ['u8']);
  expect('nested_absmax', part('nested_absmax'), Math.ceil(blocks / nestedBlockSize), ['f32']);
  expect('nested_quant_map', part('nested_quant_map'), 256, ['f32']);
  const nested = nestedBlockSize === NESTED_BLOCK_SIZE ? {} : { nestedBlockSize };
  return { info: { ...info, doubleQuant: true, ...nested }, nestedOffset: Math.fround(offset) };
}

async function readJson(
  source: TensorSource,
  name: string,
  refuse: (what: string) => never,
): Promise<Record<string, unknown>> {
  const listed = source.tensors.find((info) => info.name === name);
  if (listed?.dtype !== 'u8' || elementCount(listed.shape) > MAX_STATE_BYTES)
    return refuse('is no small byte tensor');
  const raw = await source.read(name);
  if (!isTensor(raw, 'u8')) return refuse('is no small byte tensor');
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw.data));
  } catch (error) {
    return refuse(`is no JSON: ${printable((error as Error).message)}`);
  }
  if (typeof json !== 'object' || json === null) return refuse('is no JSON object');
  return json as Record<string, unknown>;
}

function isShape(value: unknown): value is number[] {
  const isList = Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
  return isList && Number.isSafeInteger(value.reduce((product, n) => product * n, 1));
}

function isPowerOfTwo(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && Number.isInteger(Math.log2(value as number));
}

// How far a codebook may be off: what bitsandbytes' own comparison of states allows, and half a step of the
// narrower types.
const MAP_TOLERANCE: Partial<Record<DType, number>> = { f32: 1e-6, f16: 2 ** -11, bf16: 2 ** -8 };

/**
 * Reads a weight's scales.
 * @throws QloraError for values that are not finite, or another codebook than the scheme has.
 */
export async function readScales(source: TensorSource, name: string, state: StoredState): Promise<Scales> {
  const { info, nestedOffset } = state;
  const read = async (key: string) => {
    const found = await source.read(key);
    requireFinite(found, [source.label, key]);
    return found;
  };
  const floats = async (key: string) => {
    const found = await read(key);
    if (isFloat(found.dtype)) return { values: toFloat32(found), dtype: found.dtype };
    throw new QloraError({ what: `is ${found.dtype}, f32 is needed`, where: [source.label, key] });
  };
  const codebook = await floats(`${name}.quant_map`);
  const expected = codecOf(info.scheme).codebook;
  const tolerance = MAP_TOLERANCE[codebook.dtype] ?? 0;
  if (!codebook.values.every((value, i) => Math.abs(value - (expected[i] ?? Number.NaN)) <= tolerance)) {
    throw new QloraError({
      what: 'is another codebook than the scheme has',
      where: [source.label, `${name}.quant_map`],
    });
  }
  if (!info.doubleQuant) return { kind: 'plain', values: (await floats(`${name}.absmax`)).values };
  const codes = await read(`${name}.absmax`);
  if (!isTensor(codes, 'u8'))
    throw new QloraError({
      what: `is ${codes.dtype}, u8 is needed`,
      where: [source.label, `${name}.absmax`],
    });
  const { values: map } = await floats(`${name}.nested_quant_map`);
  const usual = createDynamicMap();
  return {
    kind: 'double',
    quantized: {
      codes: codes.data,
      nestedAbsmax: (await floats(`${name}.nested_absmax`)).values,
      blockSize: info.nestedBlockSize ?? NESTED_BLOCK_SIZE,
      offset: nestedOffset,
      // The one array that all weights share, where it is that one.
      map: map.every((value, i) => value === usual[i]) ? usual : map,
    },
  };
}
