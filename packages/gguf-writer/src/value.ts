// Metadata values of GGUF (ggml/include/gguf.h, enum gguf_type). A value says its type, because JavaScript's numbers do
// not.
import { QloraError } from '@qlora/tensor';

/** Types of metadata values, with their ids in the file. */
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

/** What a scalar is in JavaScript: a bigint for 64-bit integers, a boolean for bool, else a number or a string. */
export type GgufScalar = number | bigint | boolean | string;

/** A metadata value with its type. */
export type GgufValue =
  | { readonly type: Exclude<ScalarType, 'bool' | 'string' | 'u64' | 'i64'>; readonly value: number }
  | { readonly type: 'u64' | 'i64'; readonly value: bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'array'; readonly items: ScalarType; readonly value: readonly GgufScalar[] };

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

const integerRanges = {
  u8: [0, 2 ** 8 - 1],
  i8: [-(2 ** 7), 2 ** 7 - 1],
  u16: [0, 2 ** 16 - 1],
  i16: [-(2 ** 15), 2 ** 15 - 1],
  u32: [0, 2 ** 32 - 1],
  i32: [-(2 ** 31), 2 ** 31 - 1],
} as const;

/**
 * Throws unless a value is what its type says.
 * @throws QloraError naming the key.
 */
export function checkValue(key: string, value: GgufValue): void {
  const items = value.type === 'array' ? value.value : [value.value];
  const type = value.type === 'array' ? value.items : value.type;
  const wrong = items.find((item) => !fits(type, item));
  if (wrong === undefined) return;
  throw new QloraError({ what: `${String(wrong)} is no ${type}`, where: key });
}

function fits(type: ScalarType, item: GgufScalar): boolean {
  switch (type) {
    case 'string':
    case 'f32':
    case 'f64':
      return typeof item === (type === 'string' ? 'string' : 'number');
    case 'bool':
      return typeof item === 'boolean';
    case 'u64':
      return typeof item === 'bigint' && BigInt.asUintN(64, item) === item;
    case 'i64':
      return typeof item === 'bigint' && BigInt.asIntN(64, item) === item;
    default: {
      const [min, max] = integerRanges[type];
      return typeof item === 'number' && Number.isInteger(item) && item >= min && item <= max;
    }
  }
}
