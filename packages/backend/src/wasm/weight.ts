// A 4-bit weight in linear memory, as packages/kernels/assembly/compute/weight.ts describes it: codes and scales as they
// are in the QuantizedTensor, double quantization included; nothing is decoded ahead and nothing is held twice.
//
// Layouts that the kernels do not know (an axis other than the first, channels that end inside a byte, strategies and
// codecs that others registered) stay outside and are decoded by their own strategy, each time that they are used.
import {
  codecOf,
  dequantizeTensor,
  type QuantizedTensor,
  quantizedByteLength,
} from '@qlora/quant-strategies';
import { bytesOf } from '@qlora/tensor';
import type { QuantizedBuffer } from '../contract';
import type { WasmMemory } from './memory';

/** A weight that the kernels decode, or one that they cannot. */
export interface WasmQuantized extends QuantizedBuffer {
  /** Address of its description, or undefined if its strategy has to decode it. */
  readonly description: number | undefined;
  /** Whether a single row can go through the fused kernel. */
  readonly hasVectorForm: boolean;
  /** The values, where there is no description. */
  readonly decode?: () => Float32Array;
  alive: boolean;
  free(): void;
}

const DESCRIPTION_WORDS = 9;
const CODEBOOK_BYTES = 128;

/** Puts a weight into memory. */
export function uploadWeight(
  memory: WasmMemory,
  tensor: QuantizedTensor,
  outFeatures: number,
  inFeatures: number,
): WasmQuantized {
  const bytes = quantizedByteLength(tensor);
  const common = { outFeatures, inFeatures, bytes, alive: true };
  if (!isFlat(tensor, inFeatures)) {
    memory.count(bytes);
    return {
      ...common,
      description: undefined,
      hasVectorForm: false,
      decode: () => dequantizeTensor(tensor),
      free: () => memory.uncount(bytes),
    };
  }
  const pieces: number[] = [];
  const put = (data: ArrayBufferView): number => {
    const address = memory.hold(bytesOf(data), `a weight of ${outFeatures} × ${inFeatures}`);
    pieces.push(address);
    return address;
  };
  const { scales, zeroPoints, blockSize, codes } = tensor;
  const words = new Uint32Array(DESCRIPTION_WORDS);
  words[0] = put(codes);
  words[1] = memory.constant(codebookImage(codecOf(tensor.scheme).codebook));
  words[2] = blockSize;
  if (scales.kind === 'plain') words[3] = put(scales.values);
  else {
    const { quantized } = scales;
    words[3] = put(quantized.codes);
    words[4] = put(quantized.nestedAbsmax);
    words[5] = quantized.blockSize;
    words[6] = memory.constant(bytesOf(quantized.map));
    new Float32Array(words.buffer)[8] = quantized.offset;
  }
  words[7] = zeroPoints ? put(zeroPoints) : 0;
  const description = put(words);
  memory.count(bytes);
  return {
    ...common,
    description,
    hasVectorForm: !zeroPoints && inFeatures > 0 && inFeatures % 64 === 0 && blockSize % 64 === 0,
    free() {
      memory.uncount(bytes);
      for (const address of pieces.splice(0)) memory.letGo(address);
    },
  };
}

/** Whether codes run over the rows without gaps, and block i of the flattened weight has scale i. */
function isFlat({ scheme, strategy, axis = 0 }: QuantizedTensor, inFeatures: number): boolean {
  const codec = codecOf(scheme);
  if (codec.bitsPerValue !== 4 || codec.codebook.length !== 16) return false;
  if (strategy === 'blockwise' || strategy === 'zero-point') return true;
  return strategy === 'per-channel' && axis === 0 && inFeatures % 2 === 0;
}

/** The 16 values, then their lowest bytes, their second bytes, and so on: see assembly/decode.ts. */
function codebookImage(codebook: Float32Array): Uint8Array {
  const image = new Uint8Array(CODEBOOK_BYTES);
  const values = bytesOf(Float32Array.from(codebook));
  image.set(values);
  for (let code = 0; code < 16; code++)
    for (let byte = 0; byte < 4; byte++) image[64 + byte * 16 + code] = values[code * 4 + byte]!;
  return image;
}
