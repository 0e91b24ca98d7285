// bitsandbytes' 4-bit weights in safetensors, as transformers saves them (bitsandbytes/functional.py, QuantState.as_dict
// with packed=True, version 0.50). A weight `X` becomes:
//
//   X                                u8 [⌈n/2⌉, 1]   codes
//   X.absmax                         u8 [blocks]      codes of the scales, or f32 [blocks] without double quantization
//   X.quant_map                      f32 [16]         the codebook
//   X.nested_absmax                  f32 [⌈blocks/256⌉]
//   X.nested_quant_map               f32 [256]
//   X.quant_state.bitsandbytes__nf4  u8 [m]           JSON: type, block size, dtype, shape, offset
import { createDynamicMap } from '@qlora/double-quant';
import {
  codecOf,
  dequantizeToTensor,
  type QuantizedInfo,
  type QuantizedSource,
  type QuantizedTensor,
} from '@qlora/quant-strategies';
import {
  type DType,
  elementCount,
  isTensor,
  QloraError,
  requireFinite,
  type Tensor,
  type TensorInfo,
  type TensorSource,
  tensor,
} from '@qlora/tensor';
import { PythonFloat, pythonJson } from './python-json';

const STATE = '.quant_state.bitsandbytes__';
const NESTED_BLOCK_SIZE = 256;
const torchTypes: Partial<Record<DType, string>> = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };

/** Upper bound of the state's JSON: fixed text, a shape, and one float. */
const MAX_STATE_BYTES = 512;

/** The name of the tensor that holds a weight's state. */
export function stateName(name: string, scheme: string): string {
  return `${name}${STATE}${scheme}`;
}

function requireBlockwise(name: string, info: Pick<QuantizedInfo, 'strategy' | 'dtype'>): string {
  const dtype = torchTypes[info.dtype];
  if (info.strategy === 'blockwise' && dtype) return dtype;
  throw new QloraError({
    what: `bitsandbytes cannot hold a ${info.strategy} ${info.dtype} weight`,
    where: name,
    fix: 'use blockwise on f32, f16 or bf16, or write QNAT, which holds every strategy',
  });
}

/** What a quantized weight will be stored as; the state's length is an upper bound (see `SafetensorsOptions.late`). */
export function bitsandbytesInfos(name: string, info: QuantizedInfo): TensorInfo[] {
  requireBlockwise(name, info);
  const count = elementCount(info.shape);
  const blocks = Math.ceil(count / info.blockSize);
  const nested: TensorInfo[] = info.doubleQuant
    ? [
        { name: `${name}.nested_absmax`, dtype: 'f32', shape: [Math.ceil(blocks / NESTED_BLOCK_SIZE)] },
        { name: `${name}.nested_quant_map`, dtype: 'f32', shape: [256] },
      ]
    : [];
  return [
    { name, dtype: 'u8', shape: [Math.ceil(count / 2), 1] },
    { name: `${name}.absmax`, dtype: info.doubleQuant ? 'u8' : 'f32', shape: [blocks] },
    { name: `${name}.quant_map`, dtype: 'f32', shape: [16] },
    ...nested,
    { name: stateName(name, info.scheme), dtype: 'u8', shape: [MAX_STATE_BYTES] },
  ];
}

/** The tensors that a quantized weight is stored as. */
export function bitsandbytesTensors(name: string, quantized: QuantizedTensor): Map<string, Tensor> {
  const { scheme, shape, blockSize, codes, scales } = quantized;
  const torchType = requireBlockwise(name, quantized);
  const tensors = new Map<string, Tensor>([[name, tensor('u8', [codes.length, 1], codes)]]);
  const state: Parameters<typeof pythonJson>[0] = {
    quant_type: scheme,
    blocksize: blockSize,
    dtype: torchType,
    shape,
  };
  let nested = {};
  if (scales.kind === 'plain') {
    tensors.set(`${name}.absmax`, tensor('f32', [scales.values.length], scales.values));
  } else {
    const { codes: absmax, nestedAbsmax, map, offset, blockSize: nestedBlockSize } = scales.quantized;
    tensors.set(`${name}.absmax`, tensor('u8', [absmax.length], absmax));
    tensors.set(`${name}.nested_absmax`, tensor('f32', [nestedAbsmax.length], nestedAbsmax));
    tensors.set(`${name}.nested_quant_map`, tensor('f32', [256], map));
    nested = {
      nested_blocksize: nestedBlockSize,
      nested_dtype: 'float32',
      nested_offset: new PythonFloat(offset),
    };
  }
  tensors.set(`${name}.quant_map`, tensor('f32', [16], codecOf(scheme).codebook));
  const json = new TextEncoder().encode(pythonJson({ ...state, ...nested }));
  return tensors.set(stateName(name, scheme), tensor('u8', [json.length], json));
}

interface StoredState {
  readonly info: QuantizedInfo;
  readonly nestedOffset: number;
}

/**
 * A source that understands bitsandbytes' 4-bit weights in `source`: they are quantized tensors of the result, and
 * their parts are no longer listed. A source without any comes back as it is, with no quantized tensors.
 *
 * @throws QloraError for a state that lies: unknown types, sizes that do not agree, another codebook.
 */
export async function bitsandbytesSource(source: TensorSource): Promise<QuantizedSource> {
  const infos = new Map(source.tensors.map((info) => [info.name, info]));
  const states = new Map<string, StoredState>();
  const parts = new Set<string>();
  for (const { name } of source.tensors) {
    const at = name.indexOf(STATE);
    if (at < 0) continue;
    const weight = name.slice(0, at);
    const scheme = name.slice(at + STATE.length);
    const part = (suffix: string) => infos.get(`${weight}.${suffix}`);
    states.set(weight, await readState(source, weight, scheme, name, infos.get(weight), part));
    parts.add(name);
    for (const suffix of ['absmax', 'quant_map', 'nested_absmax', 'nested_quant_map'])
      parts.add(`${weight}.${suffix}`);
  }
  const dense = source.tensors.filter(({ name }) => !parts.has(name));
  const result: QuantizedSource = {
    label: source.label,
    metadata: source.metadata,
    quantized: new Map([...states].map(([name, { info }]) => [name, info])),
    tensors: dense.map((info) => {
      const state = states.get(info.name);
      return state ? { name: info.name, dtype: 'f32', shape: state.info.shape } : info;
    }),
    async readQuantized(name) {
      const state = states.get(name);
      if (!state) throw new QloraError({ what: `tensor "${name}" is not quantized`, where: source.label });
      return readWeight(source, name, state);
    },
    async read(name) {
      return states.has(name)
        ? dequantizeToTensor(await result.readQuantized(name), 'f32')
        : source.read(name);
    },
    close: () => source.close(),
  };
  return result;
}

async function readState(
  source: TensorSource,
  weight: string,
  scheme: string,
  name: string,
  codes: TensorInfo | undefined,
  part: (suffix: string) => TensorInfo | undefined,
): Promise<StoredState> {
  const refuse = (what: string, fix?: string): never => {
    throw new QloraError({
      rule: 'bitsandbytes/state',
      what,
      where: [source.label, name],
      ...(fix ? { fix } : {}),
    });
  };
  codecOf(scheme);
  const raw = await source.read(name);
  if (!isTensor(raw, 'u8') || raw.data.length > 65536) return refuse('is no small byte tensor');
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw.data)) as Record<string, unknown>;
  } catch (error) {
    return refuse(`is no JSON: ${(error as Error).message}`);
  }
  if (typeof json !== 'object' || json === null) return refuse('is no JSON object');
  const {
    quant_type: type,
    blocksize,
    shape,
    dtype: torchType,
    nested_blocksize: nestedBlockSize,
    nested_offset: offset,
  } = json;
  if (type !== scheme) return refuse(`quant_type is ${JSON.stringify(type)}`, `"${scheme}" is needed`);
  if (!Number.isInteger(blocksize) || (blocksize as number) < 32 || (blocksize as number) > 4096) {
    return refuse(`blocksize is ${JSON.stringify(blocksize)}`, 'a power of two from 32 to 4096 is needed');
  }
  const dtype = Object.entries(torchTypes).find(([, name]) => name === torchType)?.[0] as DType | undefined;
  if (!dtype)
    return refuse(`dtype is ${JSON.stringify(torchType)}`, 'float32, float16 or bfloat16 is needed');
  if (!Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    return refuse(`shape is ${JSON.stringify(shape)}`);
  }
  const count = elementCount(shape);
  const blockSize = blocksize as number;
  const blocks = Math.ceil(count / blockSize);
  const doubleQuant = part('nested_absmax') !== undefined;
  const expected: [string, TensorInfo | undefined, DType, number][] = [
    ['the codes', codes, 'u8', Math.ceil(count / 2)],
    ['absmax', part('absmax'), doubleQuant ? 'u8' : 'f32', blocks],
    ['quant_map', part('quant_map'), 'f32', 16],
  ];
  if (doubleQuant) {
    if (nestedBlockSize !== NESTED_BLOCK_SIZE)
      return refuse(`nested_blocksize is ${JSON.stringify(nestedBlockSize)}`, '256 is needed');
    if (typeof offset !== 'number' || !Number.isFinite(offset))
      return refuse(`nested_offset is ${JSON.stringify(offset)}`);
    expected.push(['nested_absmax', part('nested_absmax'), 'f32', Math.ceil(blocks / NESTED_BLOCK_SIZE)]);
    expected.push(['nested_quant_map', part('nested_quant_map'), 'f32', 256]);
  }
  for (const [what, info, type, length] of expected) {
    const found = info ? `${info.dtype} [${info.shape.join(', ')}]` : 'missing';
    if (!info || info.dtype !== type || elementCount(info.shape) !== length) {
      return refuse(`${what} of ${weight} is ${found}`, `${type} with ${length} elements is needed`);
    }
  }
  return {
    info: { scheme, strategy: 'blockwise', blockSize, doubleQuant, shape, dtype },
    nestedOffset: doubleQuant ? (offset as number) : 0,
  };
}

async function readWeight(
  source: TensorSource,
  name: string,
  { info, nestedOffset }: StoredState,
): Promise<QuantizedTensor> {
  const { scheme, strategy, blockSize, shape, dtype, doubleQuant } = info;
  const read = async <D extends DType>(key: string, type: D) => {
    const found = await source.read(key);
    if (!isTensor(found, type))
      throw new QloraError({ what: `is ${found.dtype}, ${type} is needed`, where: [source.label, key] });
    requireFinite(found, [source.label, key]);
    return found.data;
  };
  const checkMap = async (key: string, expected: Float32Array) => {
    const map = await read(key, 'f32');
    if (!map.every((value, i) => value === expected[i])) {
      throw new QloraError({ what: 'is another codebook than the scheme has', where: [source.label, key] });
    }
  };
  await checkMap(`${name}.quant_map`, codecOf(scheme).codebook);
  const codes = await read(name, 'u8');
  const base = { scheme, strategy, shape, dtype, blockSize, codes };
  if (!doubleQuant)
    return { ...base, scales: { kind: 'plain', values: await read(`${name}.absmax`, 'f32') } };
  await checkMap(`${name}.nested_quant_map`, createDynamicMap());
  return {
    ...base,
    scales: {
      kind: 'double',
      quantized: {
        codes: await read(`${name}.absmax`, 'u8'),
        nestedAbsmax: await read(`${name}.nested_absmax`, 'f32'),
        blockSize: NESTED_BLOCK_SIZE,
        offset: Math.fround(nestedOffset),
        map: createDynamicMap(),
      },
    },
  };
}
