// Host tensors: a dtype, a shape and a typed array in row-major order. They carry data between files, codecs and
// backends; they do no arithmetic.
import { type DType, elementSize, type HostArrays, isFloat } from './dtype';
import { QloraError } from './error';
import { bf16ArrayToF32, f16ArrayToF32, f32ArrayToBf16, f32ArrayToF16 } from './half-arrays';

/** Lengths of the axes, outermost first. `[]` is a scalar. */
export type Shape = readonly number[];

/** A tensor in host memory, row-major and contiguous. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: Shape;
  /** `elementCount(shape)` elements; f16 and bf16 are raw bits. */
  readonly data: HostArrays[D];
}

/**
 * Number of elements of a shape.
 * @throws QloraError if a length is no non-negative integer or the product exceeds 2^53.
 */
export function elementCount(shape: Shape): number {
  let count = 1;
  for (const length of shape) {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new QloraError({
        what: `shape [${shape.join(', ')}] has a length that is no non-negative integer`,
        fix: 'every axis needs a length of 0 or more',
      });
    }
    count *= length;
  }
  if (!Number.isSafeInteger(count)) {
    throw new QloraError({ what: `shape [${shape.join(', ')}] has more than 2^53 elements` });
  }
  return count;
}

/** Bytes that a tensor of this dtype and shape takes. */
export function byteLength(dtype: DType, shape: Shape): number {
  return elementCount(shape) * elementSize(dtype);
}

/**
 * A tensor over `data` (not copied).
 * @throws QloraError if `data` has not exactly as many elements as `shape`.
 * @example tensor('f32', [2, 2], new Float32Array([1, 2, 3, 4]))
 */
export function tensor<D extends DType>(dtype: D, shape: Shape, data: HostArrays[D]): Tensor<D> {
  const count = elementCount(shape);
  if (data.length !== count) {
    throw new QloraError({
      what: `${data.length} values given for shape [${shape.join(', ')}]`,
      fix: `that shape needs ${count}`,
    });
  }
  return { dtype, shape: [...shape], data };
}

/**
 * The values as f32: a view when the tensor is f32 already, else a new array.
 * @throws QloraError for integer tensors.
 */
export function toFloat32(source: Tensor): Float32Array {
  if (isTensor(source, 'f32')) return source.data;
  if (isTensor(source, 'f16')) return f16ArrayToF32(source.data);
  if (isTensor(source, 'bf16')) return bf16ArrayToF32(source.data);
  if (isTensor(source, 'f64')) return Float32Array.from(source.data);
  throw new QloraError({
    what: `a ${source.dtype} tensor holds no real numbers`,
    fix: 'f64, f32, f16 or bf16 is needed',
  });
}

/**
 * f32 values as a tensor of another float type, rounded to nearest, ties to even.
 * @throws QloraError if `data` does not fit `shape`.
 */
export function fromFloat32(dtype: DType, shape: Shape, data: Float32Array): Tensor {
  switch (dtype) {
    case 'f32':
      return tensor('f32', shape, data);
    case 'f16':
      return tensor('f16', shape, f32ArrayToF16(data));
    case 'bf16':
      return tensor('bf16', shape, f32ArrayToBf16(data));
    case 'f64':
      return tensor('f64', shape, Float64Array.from(data));
    default:
      throw new QloraError({
        what: `f32 values cannot be stored as ${dtype}`,
        fix: 'f64, f32, f16 or bf16 is needed',
      });
  }
}

/** The same values in another float type. Returns `source` itself when nothing changes. */
export function cast(source: Tensor, dtype: DType): Tensor {
  if (source.dtype === dtype) return source;
  if (!isFloat(source.dtype) || !isFloat(dtype)) {
    throw new QloraError({
      what: `no cast from ${source.dtype} to ${dtype}`,
      fix: 'both must be float types',
    });
  }
  return fromFloat32(dtype, source.shape, toFloat32(source));
}

/** Narrows a tensor to one dtype. */
export function isTensor<D extends DType>(value: Tensor, dtype: D): value is Tensor<D> {
  return value.dtype === dtype;
}
