// From values to scales and codes: whole blocks through the kernels of @qlora/kernels, small inputs and a short last block
// in plain TypeScript (codebook-reference.ts). Values of f16 and bf16 are widened in the kernels' window, without a copy.
import {
  absmaxBlocks,
  type CodebookTables,
  codebookTables,
  encodeBlocks,
  quantizeBlocks as quantizeWholeBlocks,
} from '@qlora/kernels';
import { type DType, QloraError, type Tensor, toFloat32 } from '@qlora/tensor';
import {
  type BlockOptions,
  checkBlockSize,
  checkCounts,
  DEFAULT_BLOCK_SIZE,
  type FloatValues,
  type QuantizedBlocks,
} from './blocks';
import { referenceAbsmax, referenceEncode, type Search, searchOf } from './codebook-reference';

// Below this many values a call into WebAssembly costs more than it saves.
const SMALL = 256;

/** A codebook, made ready for searching. */
export interface Encoder {
  readonly name: string;
  readonly search: Search;
  /** What the kernels need, made on first use; undefined for a codebook that they cannot take. */
  readonly tables: () => CodebookTables | undefined;
}

/** The encoder of a codebook of 16 values. */
export function encoderOf(name: string, codebook: Float32Array): Encoder {
  const search = searchOf(codebook);
  let tables: CodebookTables | undefined | null = null;
  return {
    name,
    search,
    tables() {
      if (tables === null) tables = codebookTables(search.order, search.bounds);
      return tables;
    },
  };
}

/** Scales of blocks. */
export function absmaxOf({ name }: Encoder, values: Float32Array, blockSize: number): Float32Array {
  checkBlockSize(blockSize, name);
  const scales = new Float32Array(Math.ceil(values.length / blockSize));
  let done = 0;
  if (values.length >= SMALL && absmaxBlocks(values, blockSize, scales)) {
    done = Math.floor(values.length / blockSize);
  }
  referenceAbsmax(values.subarray(done * blockSize), blockSize, scales.subarray(done));
  return scales;
}

/** Codes of values whose scales are given. */
export function encodeValues(
  { name, search, tables }: Encoder,
  values: Float32Array,
  scales: Float32Array,
  blockSize: number,
): Uint8Array {
  const count = values.length;
  const codes = new Uint8Array(Math.ceil(count / 2));
  checkCounts(name, codes, scales, blockSize, count);
  let done = 0;
  const known = count >= SMALL ? tables() : undefined;
  if (known && encodeBlocks(values, scales, blockSize, known, codes)) {
    done = Math.floor(count / blockSize);
  }
  const start = done * blockSize;
  const rest = codes.subarray(start / 2);
  referenceEncode(search, values.subarray(start), scales.subarray(done), blockSize, rest);
  return codes;
}

/** Scales and codes of values of any float type, in one pass. */
export function quantizeValues(encoder: Encoder, source: FloatValues, blockSize: number): QuantizedBlocks {
  checkBlockSize(blockSize, encoder.name);
  const { dtype, data } = checkValues(encoder.name, source);
  const count = data.length;
  const known = count >= SMALL ? encoder.tables() : undefined;
  if (known && (dtype === 'f32' || dtype === 'f16' || dtype === 'bf16')) {
    const absmax = new Float32Array(Math.ceil(count / blockSize));
    const codes = new Uint8Array(Math.ceil(count / 2));
    const values = data as Float32Array | Uint16Array;
    if (quantizeWholeBlocks(dtype, values, blockSize, known, absmax, codes)) {
      const done = Math.floor(count / blockSize);
      const start = done * blockSize;
      const rest = widen({ dtype, data: values.subarray(start) });
      const scales = absmax.subarray(done);
      referenceAbsmax(rest, blockSize, scales);
      referenceEncode(encoder.search, rest, scales, blockSize, codes.subarray(start / 2));
      return { codes, absmax };
    }
  }
  const values = widen({ dtype, data });
  const absmax = absmaxOf(encoder, values, blockSize);
  return { codes: encodeValues(encoder, values, absmax, blockSize), absmax };
}

/** What most users want of {@link quantizeValues}. */
export function quantizeBlocks(
  encoder: Encoder,
  values: FloatValues,
  { blockSize = DEFAULT_BLOCK_SIZE }: BlockOptions = {},
): QuantizedBlocks {
  return quantizeValues(encoder, values, blockSize);
}

const widen = ({ dtype, data }: Pick<Tensor, 'dtype' | 'data'>) =>
  toFloat32({ dtype, data, shape: [data.length] });

/** The array that holds values of each type; named, because those of another realm (a frame, a worker's) count too. */
const ARRAYS: Partial<Record<DType, string>> = {
  f64: 'Float64Array',
  f32: 'Float32Array',
  f16: 'Uint16Array',
  bf16: 'Uint16Array',
};

/** The values as type and data. Throws for what holds no real numbers, or data that is not of the type. */
function checkValues(where: string, source: FloatValues): Pick<Tensor, 'dtype' | 'data'> {
  const values = ArrayBuffer.isView(source) ? { dtype: 'f32' as const, data: source } : source;
  const wanted = ARRAYS[values?.dtype];
  const found = values?.data?.[Symbol.toStringTag];
  if (wanted === undefined || found !== wanted) {
    throw new QloraError({
      what: wanted ? `${values.dtype} values in a ${found}` : `values of type ${values?.dtype}`,
      where,
      fix: 'give a Float32Array, or { dtype, data } with f16 or bf16 as bits in a Uint16Array',
    });
  }
  return values;
}
