// The dtype names of safetensors and their order (safetensors/src/tensor.rs, enum Dtype, version 0.8.0). The
// writer sorts tensors by that order, descending, which also sorts them by alignment.
import { type DType, QloraError } from '@qlora/tensor';

/**
 * Name in the file, our dtype if we can hold it, bits an element. In ascending order of the reference's enum.
 */
const table: readonly (readonly [name: string, dtype: DType | undefined, bits: number])[] = [
  ['BOOL', 'bool', 8],
  ['F4', undefined, 4],
  ['F6_E2M3', undefined, 6],
  ['F6_E3M2', undefined, 6],
  ['U8', 'u8', 8],
  ['I8', 'i8', 8],
  ['F8_E5M2', undefined, 8],
  ['F8_E4M3', undefined, 8],
  ['F8_E8M0', undefined, 8],
  ['F8_E4M3FNUZ', undefined, 8],
  ['F8_E5M2FNUZ', undefined, 8],
  ['I16', 'i16', 16],
  ['U16', 'u16', 16],
  ['F16', 'f16', 16],
  ['BF16', 'bf16', 16],
  ['I32', 'i32', 32],
  ['U32', 'u32', 32],
  ['F32', 'f32', 32],
  ['C64', undefined, 64],
  ['F64', 'f64', 64],
  ['I64', 'i64', 64],
  ['U64', 'u64', 64],
];

/** A dtype of the format. */
export interface FileDType {
  /** Its name in files. */
  readonly name: string;
  /** Ours, or undefined for what cannot be held here: 8-bit and smaller floats, complex numbers. */
  readonly dtype: DType | undefined;
  /** Bits that an element takes. */
  readonly bits: number;
}

const byName = new Map<string, FileDType>(table.map(([name, dtype, bits]) => [name, { name, dtype, bits }]));
const byDType = new Map(
  table.flatMap(([name, dtype], rank) => (dtype ? [[dtype, { name, rank }] as const] : [])),
);

/** Every name that the format has for a dtype, in ascending order of the reference's enum. */
export const FILE_DTYPES: readonly string[] = table.map(([name]) => name);

/** The dtype of a name in a file, or undefined for a name that the format does not have. */
export function fileDType(name: string): FileDType | undefined {
  return byName.get(name);
}

/**
 * Our dtype for a name in a file, or undefined if it cannot be held here (8-bit and smaller floats, complex).
 */
export function dtypeOf(name: string): DType | undefined {
  return byName.get(name)?.dtype;
}

/** The name in a file of one of our dtypes, and its place in the reference's order. */
export function fileType(dtype: DType): { name: string; rank: number } {
  const found = byDType.get(dtype);
  if (!found) throw new QloraError({ what: `safetensors has no dtype ${dtype}` });
  return found;
}
