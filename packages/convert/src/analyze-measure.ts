// What several schemes make of a part of a tensor, as a task for a thread: encoded, decoded and compared at once, so that
// nothing but sums goes back, and scales where they are to be quantized all together.
import {
  addErrors,
  createErrorSums,
  dequantizeTensor,
  type ErrorSums,
  packScales,
  type QuantizationConfig,
  type QuantizedTensor,
  quantizedByteLength,
  quantizeTensor,
  scalesOf,
} from '@qlora/quant-strategies';
import { QloraError, type Task, type Tensor, toFloat32 } from '@qlora/tensor';
import type { RangePlace } from './range-place';

/** How a part is to be measured: in one layout of codes and scales, and with which scales. */
export interface MeasureRequest extends Omit<QuantizationConfig, 'doubleQuant'> {
  /** With the scales as they are. */
  readonly plain: boolean;
  /**
   * With double quantized scales: `whole` if the part is all of the tensor, or what has become of the part's scales; `collect`
   * gives them, for that.
   */
  readonly double?: 'whole' | 'collect' | Float32Array;
}

/** Its answer. */
export interface Measured {
  /** With plain scales, if that was asked for. */
  readonly plain?: ErrorSums;
  /** With double quantized ones. Unless the part was `whole`, the bytes of the scales are not in it. */
  readonly double?: ErrorSums;
  /** The part's scales, if they are to be collected. */
  readonly scales?: Float32Array;
}

/**
 * Errors of a part in each layout.
 * @throws QloraError for values that are not finite, by their place in the tensor.
 */
export const measureTask: Task<
  { part: Tensor; place: RangePlace; requests: readonly MeasureRequest[] },
  Measured[]
> = {
  name: 'measure',
  run({ part, place, requests }) {
    const values = toFloat32(part);
    const inF32: Tensor = { dtype: 'f32', shape: part.shape, data: values };
    const name = place.where.join(': ');
    return requests.map(({ plain, double, ...layout }) => {
      const quantized = quantizeTensor(inF32, { ...layout, doubleQuant: false, name, start: place.start });
      const scales = scalesOf(quantized);
      return {
        ...(plain ? { plain: errorsOf(values, quantized, quantizedByteLength(quantized)) } : {}),
        ...(double === 'collect' ? { scales } : {}),
        ...(double && double !== 'collect' ? { double: doubled(values, quantized, scales, double) } : {}),
      };
    });
  },
};

function doubled(
  values: Float32Array,
  quantized: QuantizedTensor,
  scales: Float32Array,
  given: 'whole' | Float32Array,
): ErrorSums {
  if (given === 'whole') {
    const packed = { ...quantized, scales: packScales(scales, true) };
    return errorsOf(values, packed, quantizedByteLength(packed));
  }
  if (given.length !== scales.length)
    throw new QloraError({ what: `${given.length} scales for a part that has ${scales.length}` });
  const restored: QuantizedTensor = { ...quantized, scales: { kind: 'plain', values: given } };
  return errorsOf(values, restored, quantizedByteLength(restored) - given.byteLength);
}

function errorsOf(values: Float32Array, quantized: QuantizedTensor, bytes: number): ErrorSums {
  return addErrors(createErrorSums(), values, dequantizeTensor(quantized), bytes);
}
