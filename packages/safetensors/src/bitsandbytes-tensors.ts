// Writing bitsandbytes' 4-bit weights as transformers saves them (bitsandbytes/functional.py,
// QuantState.as_dict with packed=True, version 0.50). A weight `X` becomes:
//
//   X                                u8 [⌈n/2⌉, 1]   codes
//   X.absmax                         u8 [blocks]      codes of the scales, or f32 without double quantization
//   X.quant_map                      f32 [16]         the codebook
//   X.nested_absmax                  f32 [⌈blocks/256⌉]
//   X.nested_quant_map               f32 [256]
//   X.quant_state.bitsandbytes__nf4  u8 [m]           JSON: type, block size, dtype, shape, offset
import { NESTED_BLOCK_SIZE } from '@qlora/double-quant';
import { codecOf, type QuantizedInfo, type QuantizedTensor, type Scales } from '@qlora/quant-strategies';
import { type DType, elementCount, QloraError, type Tensor, type TensorInfo, tensor } from '@qlora/tensor';
import { PythonFloat, pythonJson } from './python-json';

/** What comes between a weight's name and its scheme in the name of its state. */
export const STATE = '.quant_state.bitsandbytes__';

/** The schemes of bitsandbytes (`QuantState.valid_quant_types`). */
export const BITSANDBYTES_SCHEMES: readonly string[] = ['nf4', 'fp4'];

/** Its block sizes (`quantize_4bit`). */
export const BITSANDBYTES_BLOCK_SIZES: readonly number[] = [32, 64, 128, 256, 512, 1024, 2048, 4096];

/** Its names of the types that a weight can have. */
export const TORCH_TYPES: Partial<Record<DType, string>> = {
  f32: 'float32',
  f16: 'float16',
  bf16: 'bfloat16',
};

/** Upper bound of the state's JSON: fixed text, a shape, and one float. */
const MAX_STATE_BYTES = 512;

/** A quantized weight as bitsandbytes can describe it. */
export interface BitsandbytesInfo extends QuantizedInfo {
  /** Codes of scales that share a nested scale. Default 256, and bitsandbytes writes no other. */
  readonly nestedBlockSize?: number;
}

/** The name of the tensor that holds a weight's state. */
export function stateName(name: string, scheme: string): string {
  return `${name}${STATE}${scheme}`;
}

type Blockwise = Pick<QuantizedInfo, 'scheme' | 'strategy' | 'blockSize' | 'dtype' | 'shape'>;

function requireBlockwise(name: string, { scheme, strategy, blockSize, dtype }: Blockwise): string {
  const torchType = TORCH_TYPES[dtype];
  const isKnown = BITSANDBYTES_SCHEMES.includes(scheme) && BITSANDBYTES_BLOCK_SIZES.includes(blockSize);
  if (strategy === 'blockwise' && torchType && isKnown) return torchType;
  throw new QloraError({
    what: isKnown
      ? `bitsandbytes cannot hold a ${strategy} ${dtype} weight`
      : `bitsandbytes cannot hold a weight in ${scheme} with blocks of ${blockSize}`,
    where: name,
    fix: 'use blockwise nf4 or fp4 on f32, f16 or bf16, in blocks of 32 to 4096, or write QNAT, which holds more',
  });
}

/**
 * What a quantized weight will be stored as; the state's length is an upper bound (see
 * `SafetensorsOptions.late`).
 * @throws QloraError for a scheme, strategy, block size or type that bitsandbytes does not have.
 */
export function bitsandbytesInfos(name: string, info: BitsandbytesInfo): TensorInfo[] {
  requireBlockwise(name, info);
  const { nestedBlockSize = NESTED_BLOCK_SIZE } = info;
  const count = elementCount(info.shape);
  const blocks = Math.ceil(count / info.blockSize);
  const nested: TensorInfo[] = info.doubleQuant
    ? [
        { name: `${name}.nested_absmax`, dtype: 'f32', shape: [Math.ceil(blocks / nestedBlockSize)] },
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

/**
 * All tensors of a quantized weight but its codes: what is known when all codes are written.
 * @throws QloraError as {@link bitsandbytesInfos}.
 */
export function bitsandbytesScaleTensors(name: string, info: Blockwise, scales: Scales): Map<string, Tensor> {
  const { scheme, blockSize, shape } = info;
  const dtype = requireBlockwise(name, info);
  const tensors = new Map<string, Tensor>();
  const state = { quant_type: scheme, blocksize: blockSize, dtype, shape };
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

/**
 * The tensors that a quantized weight is stored as.
 * @throws QloraError as {@link bitsandbytesInfos}.
 */
export function bitsandbytesTensors(name: string, quantized: QuantizedTensor): Map<string, Tensor> {
  const { codes, scales } = quantized;
  const parts = bitsandbytesScaleTensors(name, quantized, scales);
  return new Map([[name, tensor('u8', [codes.length, 1], codes)], ...parts]);
}
