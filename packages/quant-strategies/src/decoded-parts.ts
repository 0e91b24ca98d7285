// Quantized tensors decoded part by part: all of it, one part after the other, or a range from anywhere in it. What comes out is
// what dequantizeTensor gives.
import { checkElements, QloraError } from '@qlora/tensor';
import { scalesOf } from './blocks';
import type { QuantizedTensor } from './contract';
import { type Cut, checkCount, cutOf, PART_VALUES, partsOf, sizesUpTo } from './cut';
import { partShape } from './part-shape';
import { dequantizeTensor } from './quantize';
import { codecOf, strategyOf } from './registry';

/**
 * The values that a quantized tensor stands for, in parts that follow one another: those of `dequantizeTensor`, of which
 * only a part is in memory. One part, if the strategy cannot cut the tensor, or has blocks of a size that is not made here.
 *
 * @param partSize values of a part, at most; rounded down to whole units, but not to none.
 * @throws QloraError as `dequantizeTensor` does.
 */
export function* dequantizedParts(
  quantized: QuantizedTensor,
  partSize = PART_VALUES,
): Generator<{ readonly start: number; readonly values: Float32Array }> {
  checkCount('part size', partSize);
  const scales = scalesOf(quantized);
  const cut = cutOfQuantized(quantized, scales);
  if (!cut) {
    yield { start: 0, values: dequantizeTensor(quantized) };
    return;
  }
  for (const { start, count } of partsOf(cut, partSize))
    yield { start, values: dequantizeTensor(partOf(quantized, scales, cut, start, count)) };
}

/**
 * `count` values of a quantized tensor from `start` on: those of `dequantizeTensor`, of which only the units that hold them
 * are decoded. A tensor that its strategy cannot cut, or with blocks of a size that is not made here, is decoded whole.
 * @throws QloraError as `dequantizeTensor` does, and if the range is not inside the tensor.
 */
export function dequantizeRange(quantized: QuantizedTensor, start: number, count: number): Float32Array {
  const { scheme, dtype, shape } = quantized;
  checkElements({ name: `${scheme} tensor`, dtype, shape }, start, count, 'range');
  const scales = scalesOf(quantized);
  const cut = cutOfQuantized(quantized, scales);
  if (!cut) return dequantizeTensor(quantized).slice(start, start + count);
  if (count === 0) return new Float32Array(0);
  const first = cut.unit * Math.floor(start / cut.unit);
  const end = Math.min(cut.count, cut.unit * Math.ceil((start + count) / cut.unit));
  const values = dequantizeTensor(partOf(quantized, scales, cut, first, end - first));
  return values.subarray(start - first, start - first + count);
}

/**
 * How a tensor is cut. Undefined if its strategy cannot, if it has blocks of another program's sizes, which can be decoded but not
 * made, and if there is not as much of everything as there should be: decoding the whole then says what is wrong.
 */
function cutOfQuantized(quantized: QuantizedTensor, scales: Float32Array): Cut | undefined {
  const { scheme, strategy, shape, blockSize, axis, codes, zeroPoints } = quantized;
  const options = { blockSize, ...(axis === undefined ? {} : { axis }) };
  const cut = tried(() => cutOf(shape, strategyOf(strategy), codecOf(scheme), options));
  const isWhole =
    codes.length === cut?.sizes.codes &&
    scales.length === cut.sizes.scales &&
    (zeroPoints?.length ?? 0) === cut.sizes.zeroPoints;
  return isWhole ? cut : undefined;
}

function tried<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    if (error instanceof QloraError) return undefined;
    throw error;
  }
}

/** Some units of a quantized tensor, as a tensor. */
function partOf(
  quantized: QuantizedTensor,
  scales: Float32Array,
  cut: Cut,
  start: number,
  count: number,
): QuantizedTensor {
  const [from, to] = [sizesUpTo(cut, start), sizesUpTo(cut, start + count)];
  const zeroPoints = quantized.zeroPoints?.subarray(from.zeroPoints, to.zeroPoints);
  return {
    ...quantized,
    shape: partShape(quantized.shape, count),
    codes: quantized.codes.subarray(from.codes, to.codes),
    scales: { kind: 'plain', values: scales.subarray(from.scales, to.scales) },
    ...(zeroPoints ? { zeroPoints } : {}),
  };
}
