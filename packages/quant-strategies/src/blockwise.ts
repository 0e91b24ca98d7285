// Blockwise absmax: the tensor flattened in row-major order, one scale for every `blockSize` values, running over row
// ends. This is what bitsandbytes does and what QLoRA means.
import { elementCount, toFloat32 } from '@qlora/tensor';
import { checkFinite, checkSizes, packScales, scalesOf } from './blocks';
import type { QuantStrategy } from './contract';

/** Blockwise absmax. */
export const blockwise: QuantStrategy = {
  name: 'blockwise',

  quantize(tensor, codec, { blockSize = 64, doubleQuant = true, name = 'tensor' } = {}) {
    const values = toFloat32(tensor);
    checkFinite(tensor, values, name);
    const absmax = codec.absmax(values, blockSize);
    return {
      scheme: codec.name,
      strategy: 'blockwise',
      shape: tensor.shape,
      dtype: tensor.dtype,
      blockSize,
      codes: codec.encode(values, absmax, blockSize),
      scales: packScales(absmax, doubleQuant),
    };
  },

  dequantize(quantized, codec) {
    const count = elementCount(quantized.shape);
    checkSizes(quantized, codec, count, Math.ceil(count / quantized.blockSize));
    return codec.decode(quantized.codes, scalesOf(quantized), quantized.blockSize, count);
  },
};
