// Q4_K: super-blocks of 256 values (k-affine.ts) with codes of 4 bits, two groups of 32 in the nibbles of 32 bytes.
import { type BlockLoops, defineBlockType } from './define';
import { getHalf } from './half-bytes';
import { affineEncoders, groupMinimum, groupScale, SUPER, superCodes } from './k-affine';
import { withKernels } from './with-kernels';

const { fround } = Math;
const BYTES = 144;
const CODES = 16;

const SEARCH = { top: 15, from: -1, by: 0.1, steps: 20 };
const WEIGHTED = { top: 15, from: -0.9, by: 0.05, steps: 36 };

/** The loops in plain TypeScript. */
export const plainQ4K: Required<BlockLoops> = {
  ...affineEncoders(SEARCH, WEIGHTED, BYTES, (bytes, to) => pack(bytes, to + CODES)),
  decode(bytes, values) {
    for (let at = 0, from = 0; at < values.length; at += SUPER, from += BYTES) {
      const d = getHalf(bytes, from);
      const dmin = getHalf(bytes, from + 2);
      for (let group = 0; group < 8; group++) {
        const scale = groupScale(bytes, from, group, d);
        const minimum = groupMinimum(bytes, from, group, dmin);
        const codes = from + CODES + 32 * (group >> 1);
        const shift = 4 * (group & 1);
        for (let i = 0; i < 32; i++) {
          values[at + 32 * group + i] = fround(((bytes[codes + i]! >> shift) & 15) * scale) - minimum;
        }
      }
    }
  },
};

/** 4.5 bits a value. */
export const q4_K = defineBlockType(
  {
    name: 'q4_K',
    id: 12,
    blockSize: SUPER,
    blockBytes: BYTES,
    maxMagnitude: 2 ** 21,
    scales: { f16: [0, 2] },
  },
  withKernels('q4_K', plainQ4K),
);

function pack(bytes: Uint8Array, to: number): void {
  for (let pair = 0; pair < 4; pair++) {
    for (let i = 64 * pair; i < 64 * pair + 32; i++) {
      bytes[to + i - 32 * pair] = superCodes[i]! | (superCodes[i + 32]! << 4);
    }
  }
}
