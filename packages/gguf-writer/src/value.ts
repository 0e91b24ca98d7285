// Metadata values of GGUF (ggml/include/gguf.h, enum gguf_type). A value says its type, because JavaScript's numbers do
// not.

/** Scalar types of metadata, with their ids in the file. */
export const VALUE_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

/** A scalar type. */
export type ScalarType = Exclude<keyof typeof VALUE_TYPES, 'array'>;

/** A metadata value with its type; 64-bit integers are bigints. */
export type GgufValue =
  | { readonly type: Exclude<ScalarType, 'bool' | 'string' | 'u64' | 'i64'>; readonly value: number }
  | { readonly type: 'u64' | 'i64'; readonly value: bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | {
      readonly type: 'array';
      readonly items: ScalarType;
      readonly value: readonly (number | bigint | boolean | string)[];
    };

/** Metadata by key, in the order of the file. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** Short forms for writing metadata. */
export const u32 = (value: number): GgufValue => ({ type: 'u32', value });
/** See {@link u32}. */
export const f32Value = (value: number): GgufValue => ({ type: 'f32', value });
/** See {@link u32}. */
export const bool = (value: boolean): GgufValue => ({ type: 'bool', value });
/** See {@link u32}. */
export const text = (value: string): GgufValue => ({ type: 'string', value });
/** See {@link u32}. */
export const list = (items: ScalarType, value: readonly (number | string)[]): GgufValue => ({
  type: 'array',
  items,
  value,
});
