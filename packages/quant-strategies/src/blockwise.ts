// Blockwise absmax: the tensor flattened in row-major order, one scale for every `blockSize` values, running over row
// ends. This is what bitsandbytes does and what QLoRA means.
import { elementCount, firstNonFinite, isFloat, type Tensor } from '@qlora/tensor';
import { blockUnit, checkSizes, finiteValues, packScales, scalesOf } from './blocks';
import type { Codec, QuantStrategy } from './contract';

/** Blockwise absmax. */
export const blockwise: QuantStrategy = {
  name: 'blockwise',

  quantize(tensor, codec, { blockSize = 64, doubleQuant = true, name = 'tensor', start } = {}) {
    const { codes, absmax } = quantizeBlocks(tensor, codec, blockSize, name, start);
    return {
      scheme: codec.name,
      strategy: 'blockwise',
      shape: tensor.shape,
      dtype: tensor.dtype,
      blockSize,
      codes,
      scales: packScales(absmax, doubleQuant),
    };
  },

  dequantize(quantized, codec) {
    const count = elementCount(quantized.shape);
    checkSizes(quantized, codec, count, Math.ceil(count / quantized.blockSize));
    return codec.decode(quantized.codes, scalesOf(quantized), quantized.blockSize, count);
  },

  unit: (_shape, { blockSize = 64 } = {}) => blockUnit(blockSize),
};

/** Codes and scales of a tensor of finite values. */
function quantizeBlocks(
  tensor: Tensor,
  codec: Codec,
  blockSize: number,
  name: string,
  start: number | undefined,
): { codes: Uint8Array; absmax: Float32Array } {
  const atOnce = isFloat(tensor.dtype) ? codec.quantize?.(tensor, blockSize) : undefined;
  if (atOnce && firstNonFinite({ dtype: 'f32', shape: [], data: atOnce.absmax }) < 0) return atOnce;
  const values = finiteValues(tensor, name, start);
  const absmax = codec.absmax(values, blockSize);
  return { codes: codec.encode(values, absmax, blockSize), absmax };
}
