// Element types. The names are those of PyTorch and safetensors in lower case. `f16` and `bf16` are stored as raw
// bits in a Uint16Array, because JavaScript has no 16-bit float array everywhere; `bool` is one byte, 0 or 1.

/** An element type that this project can hold in memory. */
export type DType =
  | 'f64'
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'i64'
  | 'u64'
  | 'i32'
  | 'u32'
  | 'i16'
  | 'u16'
  | 'i8'
  | 'u8'
  | 'bool';

/** The host array that holds values of a {@link DType}. */
export interface HostArrays {
  f64: Float64Array;
  f32: Float32Array;
  f16: Uint16Array;
  bf16: Uint16Array;
  i64: BigInt64Array;
  u64: BigUint64Array;
  i32: Int32Array;
  u32: Uint32Array;
  i16: Int16Array;
  u16: Uint16Array;
  i8: Int8Array;
  u8: Uint8Array;
  bool: Uint8Array;
}

/** Any host array. */
export type HostArray = HostArrays[DType];

const constructors = {
  f64: Float64Array,
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  i32: Int32Array,
  u32: Uint32Array,
  i16: Int16Array,
  u16: Uint16Array,
  i8: Int8Array,
  u8: Uint8Array,
  bool: Uint8Array,
} as const;

/** Every {@link DType}. */
export const DTYPES = /* @__PURE__ */ Object.keys(constructors) as readonly DType[];

/** Bytes that one element takes. */
export function elementSize(dtype: DType): number {
  return constructors[dtype].BYTES_PER_ELEMENT;
}

/** True for the types that hold real numbers. */
export function isFloat(dtype: DType): dtype is 'f64' | 'f32' | 'f16' | 'bf16' {
  return dtype === 'f64' || dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';
}

/**
 * A typed array of `dtype` over `bytes` (little endian, as every format here has it). A view where the alignment
 * allows one, else a copy.
 */
export function viewAs<D extends DType>(dtype: D, bytes: Uint8Array): HostArrays[D] {
  const TypedArray = constructors[dtype];
  const size = TypedArray.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const length = Math.floor(aligned.byteLength / size);
  return new TypedArray(aligned.buffer as ArrayBuffer, aligned.byteOffset, length) as HostArrays[D];
}

/** A new typed array of `length` zeros. */
export function zeros<D extends DType>(dtype: D, length: number): HostArrays[D] {
  return new constructors[dtype](length) as HostArrays[D];
}

/** The bytes of a host array, as a view. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
