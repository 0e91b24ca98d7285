// Zero-point: true asymmetric quantization. The range [min, max] of each block is laid over the codebook by an offset and a
// scale, so that a block of one sign, or one that leans to a side, does not leave codes unused:
//
//   x ≈ codebook[code] · scale + zeroPoint
//
// Codebooks are dense around 0 and sparse at ±1, so the best place for a block is not always the whole of [-1, 1]: what has
// a long tail loses there more than absmax does (twice as much, for a lognormal distribution). Four mappings are tried on
// each block. In three of them both ends of the range lie on entries of the codebook: the far end, the one that is further
// from the mean, on 1 or -1, and the near end on an entry q of the other side, which is -1 or 1 itself, or the second or
// the fourth one from there (for NF4 and a tail above: -1, -0.696 or -0.395):
//
//   scale = (max − min) / (1 + |q|)      zeroPoint = near end − q · scale
//
// The last one is absmax: the zero point 0 and the largest magnitude as the scale. The mapping whose values come back with
// the least sum of squared errors is kept, the first one of equals in this order. So no block is worse off than with absmax
// (as long as scales are plain), a constant block comes back exactly, and a decoder needs to know nothing of the choice.
//
// The cost is one f32 a block: 0.5 bit a value at block size 64.
import { elementCount, QloraError } from '@qlora/tensor';
import { blockUnit, checkSizes, finiteValues, packScales, scalesOf } from './blocks';
import type { QuantStrategy } from './contract';
import { blockFit, shift } from './zero-point-fit';

// Values that are fitted and encoded at a time, at least: little enough to stay in the processor's cache.
const PART = 16384;

/** Asymmetric quantization by blocks of the flattened tensor. */
export const zeroPoint: QuantStrategy = {
  name: 'zero-point',

  quantize(tensor, codec, { blockSize = 64, doubleQuant = true, name = 'tensor', start: first } = {}) {
    const values = finiteValues(tensor, name, first);
    const count = values.length;
    const zeroPoints = new Float32Array(Math.ceil(count / blockSize));
    const scales = new Float32Array(zeroPoints.length);
    const codes = new Uint8Array(Math.ceil((count * codec.bitsPerValue) / 8));
    const unit = blockUnit(blockSize);
    const length = Math.min(count, unit * Math.ceil(PART / unit));
    const fit = blockFit(codec, blockSize, length);
    const shifted = new Float32Array(length);
    for (let start = 0; start < count; start += length) {
      const part = values.subarray(start, start + length);
      const block = start / blockSize;
      const end = block + Math.ceil(part.length / blockSize);
      const fitted = { zeroPoints: zeroPoints.subarray(block, end), scales: scales.subarray(block, end) };
      fit(part, fitted);
      const moved = shift(part, blockSize, fitted.zeroPoints, shifted.subarray(0, part.length));
      const packed = codec.encode(moved, fitted.scales, blockSize);
      codes.set(packed, (start * codec.bitsPerValue) / 8);
    }
    return {
      scheme: codec.name,
      strategy: 'zero-point',
      shape: tensor.shape,
      dtype: tensor.dtype,
      blockSize,
      codes,
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
    for (let b = 0; b < blocks; b++) {
      const zero = zeroPoints[b]!;
      const end = Math.min((b + 1) * blockSize, count);
      for (let i = b * blockSize; i < end; i++) values[i] = values[i]! + zero;
    }
    return values;
  },

  unit: (_shape, { blockSize = 64 } = {}) => blockUnit(blockSize),
};
