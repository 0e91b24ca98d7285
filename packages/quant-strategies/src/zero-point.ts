// Zero-point: true asymmetric quantization. The range [min, max] of each block is mapped onto the codebook's [-1, 1]:
//
//   zeroPoint = (max + min) / 2      scale = (max − min) / 2      x ≈ codebook[code] · scale + zeroPoint
//
// A block of one sign uses all sixteen codes instead of half of them. The cost is one f32 a block (0.5 bit a value at
// 64), and that the codebook's exact zero is no longer an exact zero of the tensor.
import { elementCount, QloraError, toFloat32 } from '@qlora/tensor';
import { checkFinite, checkSizes, packScales, scalesOf } from './blocks';
import type { QuantStrategy } from './contract';

/** Asymmetric quantization by blocks of the flattened tensor. */
export const zeroPoint: QuantStrategy = {
  name: 'zero-point',

  quantize(tensor, codec, { blockSize = 64, doubleQuant = true, name = 'tensor' } = {}) {
    const values = toFloat32(tensor);
    checkFinite(tensor, values, name);
    const blocks = Math.ceil(values.length / blockSize);
    const zeroPoints = new Float32Array(blocks);
    const scales = new Float32Array(blocks);
    const centred = new Float32Array(values.length);
    for (let b = 0; b < blocks; b++) {
      const start = b * blockSize;
      const end = Math.min(start + blockSize, values.length);
      let min = Number.POSITIVE_INFINITY;
      let max = Number.NEGATIVE_INFINITY;
      for (let i = start; i < end; i++) {
        min = Math.min(min, values[i]!);
        max = Math.max(max, values[i]!);
      }
      const centre = Math.fround(min / 2 + max / 2);
      zeroPoints[b] = centre;
      let scale = 0;
      for (let i = start; i < end; i++) {
        const distance = Math.fround(values[i]! - centre);
        centred[i] = distance;
        scale = Math.max(scale, Math.abs(distance));
      }
      scales[b] = scale;
    }
    return {
      scheme: codec.name,
      strategy: 'zero-point',
      shape: tensor.shape,
      dtype: tensor.dtype,
      blockSize,
      codes: codec.encode(centred, scales, blockSize),
      scales: packScales(scales, doubleQuant),
      zeroPoints,
    };
  },

  dequantize(quantized, codec) {
    const count = elementCount(quantized.shape);
    const { blockSize, zeroPoints } = quantized;
    const blocks = Math.ceil(count / blockSize);
    checkSizes(quantized, codec, count, blocks);
    if (zeroPoints?.length !== blocks) {
      throw new QloraError({
        what: `${zeroPoints?.length ?? 0} zero points`,
        where: `zero-point tensor of shape [${quantized.shape.join(', ')}]`,
        fix: `${blocks} are needed`,
      });
    }
    const values = codec.decode(quantized.codes, scalesOf(quantized), blockSize, count);
    for (let i = 0; i < count; i++) values[i] = values[i]! + zeroPoints[Math.floor(i / blockSize)]!;
    return values;
  },
};
