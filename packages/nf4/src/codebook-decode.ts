// From codes to values: whole blocks through the kernels of @qlora/kernels, small inputs and a short last block in plain
// TypeScript. A value is codebook[code] × scale in f32, and for f16 and bf16 that product rounded once.
//
// It imports nothing that encodes, so that whoever only decodes does not carry the encoder.
import { decodeBlocks } from '@qlora/kernels';
import { f32ArrayToBf16, f32ArrayToF16, QloraError } from '@qlora/tensor';
import {
  checkBlockSize,
  checkCounts,
  DEFAULT_BLOCK_SIZE,
  type DequantizeOptions,
  type FloatArrayOf,
  type FloatDType,
  type QuantizedBlocks,
} from './blocks';
import { referenceDecode } from './codebook-reference';

// Below this many values a call into WebAssembly costs more than it saves.
const SMALL = 256;

/** `count` values of codes in the type that is asked for. `name` is for messages. */
export function decodeCodes<D extends FloatDType>(
  name: string,
  codebook: Float32Array,
  dtype: D,
  codes: Uint8Array,
  scales: Float32Array,
  blockSize: number,
  count: number,
): FloatArrayOf<D> {
  checkDType(name, dtype);
  checkCounts(name, codes, scales, blockSize, count);
  const values = dtype === 'f32' ? new Float32Array(count) : new Uint16Array(count);
  let done = 0;
  if (count >= SMALL && decodeBlocks(dtype, codes, scales, blockSize, codebook, values)) {
    done = Math.floor(count / blockSize);
  }
  const start = done * blockSize;
  const rest = values instanceof Float32Array ? values.subarray(start) : new Float32Array(count - start);
  referenceDecode(codebook, codes.subarray(start / 2), scales.subarray(done), blockSize, rest);
  if (!(values instanceof Float32Array)) roundTo(dtype, rest, values.subarray(start));
  return values as FloatArrayOf<D>;
}

/** What most users want of {@link decodeCodes}. */
export function dequantizeBlocks<D extends FloatDType>(
  name: string,
  codebook: Float32Array,
  quantized: QuantizedBlocks,
  count: number,
  options: DequantizeOptions<D> = {},
): FloatArrayOf<D> {
  const { blockSize = DEFAULT_BLOCK_SIZE, dtype = 'f32' as D } = options;
  checkBlockSize(blockSize, name);
  return decodeCodes(name, codebook, dtype, quantized.codes, quantized.absmax, blockSize, count);
}

/** Values rounded to 16 bits, into `bits`. */
export function roundTo(dtype: FloatDType, values: Float32Array, bits = new Uint16Array(values.length)) {
  return dtype === 'f16' ? f32ArrayToF16(values, bits) : f32ArrayToBf16(values, bits);
}

function checkDType(name: string, dtype: FloatDType): void {
  if (dtype === 'f32' || dtype === 'f16' || dtype === 'bf16') return;
  throw new QloraError({ what: `cannot decode to ${dtype}`, where: name, fix: 'use f32, f16 or bf16' });
}
