// Zero-point: true asymmetric quantization. The range [min, max] of each block is mapped onto the codebook's [-1, 1]:
//
//   zeroPoint = (max + min) / 2      scale = (max − min) / 2      x ≈ codebook[code] · scale + zeroPoint
//
// A block of one sign uses all sixteen codes instead of half of them. The cost is one f32 a block (0.5 bit a value at
// 64), and that the codebook's exact zero is no longer an exact zero of the tensor.
import { centreBlocks } from '@qlora/kernels';
import { elementCount, QloraError, toFloat32 } from '@qlora/tensor';
import { checkFinite, checkSizes, packScales, scalesOf } from './blocks';
import type { QuantStrategy } from './contract';
import { plainCentre } from './zero-point-reference';

// Values that are centred and encoded at a time, at least: little enough to stay in the processor's cache.
const PART = 16384;

// Below this many values a call into WebAssembly costs more than it saves.
const SMALL = 256;

/** Asymmetric quantization by blocks of the flattened tensor. */
export const zeroPoint: QuantStrategy = {
  name: 'zero-point',

  quantize(tensor, codec, { blockSize = 64, doubleQuant = true, name = 'tensor' } = {}) {
    const values = toFloat32(tensor);
    checkFinite(tensor, values, name);
    const count = values.length;
    const zeroPoints = new Float32Array(Math.ceil(count / blockSize));
    const scales = new Float32Array(zeroPoints.length);
    const codes = new Uint8Array(Math.ceil((count * codec.bitsPerValue) / 8));
    // Part by part, so that the distances from the middle need no second tensor. Whole blocks, and whole bytes of codes.
    const unit = 8 * blockSize;
    const length = Math.min(count, unit * Math.ceil(PART / unit));
    const centred = new Float32Array(length);
    for (let start = 0; start < count; start += length) {
      const part = values.subarray(start, start + length);
      const first = start / blockSize;
      const end = first + Math.ceil(part.length / blockSize);
      centre(part, blockSize, zeroPoints.subarray(first, end), scales.subarray(first, end), centred);
      const packed = codec.encode(centred.subarray(0, part.length), scales.subarray(first, end), blockSize);
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
      const middle = zeroPoints[b]!;
      const end = Math.min((b + 1) * blockSize, count);
      for (let i = b * blockSize; i < end; i++) values[i] = values[i]! + middle;
    }
    return values;
  },
};

/** The middle of the range of each block, the largest distance from it, and the values less the middle. */
function centre(
  values: Float32Array,
  blockSize: number,
  zeroPoints: Float32Array,
  scales: Float32Array,
  centred: Float32Array,
): void {
  let done = 0;
  if (values.length >= SMALL && centreBlocks(values, blockSize, zeroPoints, scales, centred)) {
    done = Math.floor(values.length / blockSize);
  }
  const start = done * blockSize;
  plainCentre(
    values.subarray(start),
    blockSize,
    zeroPoints.subarray(done),
    scales.subarray(done),
    centred.subarray(start),
  );
}
