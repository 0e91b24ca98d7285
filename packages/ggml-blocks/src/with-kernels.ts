// A type's loops through the kernels of @qlora/kernels where there is SIMD, else in plain TypeScript, with the same bytes.
import { decodeGgmlBlocks, encodeGgmlBlocks, encodeGgmlRow, type GgmlKind } from '@qlora/kernels';
import type { BlockLoops } from './define';

// Below this many values a call into WebAssembly costs more than it saves when decoding.
const SMALL = 256;

/** The loops of `plain`, by kernels where they run. */
export function withKernels(kind: GgmlKind, plain: Required<BlockLoops>): Required<BlockLoops> {
  return {
    encode(values, bytes) {
      if (!encodeGgmlBlocks(kind, values, bytes)) plain.encode(values, bytes);
    },
    encodeRow(row, importance, bytes) {
      if (!encodeGgmlRow(kind, row, importance, bytes)) plain.encodeRow(row, importance, bytes);
    },
    decode(bytes, values) {
      const done = values.length >= SMALL && decodeGgmlBlocks(kind, bytes, values);
      if (!done) plain.decode(bytes, values);
    },
  };
}
