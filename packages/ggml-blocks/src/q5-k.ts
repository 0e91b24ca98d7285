// Q5_K: super-blocks of 256 values (k-affine.ts) with codes of 5 bits: the lower four as in Q4_K; the fifth bits in 32 bytes
// before them, those of one group in the same bit of each.
import { type BlockLoops, defineBlockType } from './define';
import { getHalf } from './half-bytes';
import { affineEncoders, groupMinimum, groupScale, SUPER, superCodes } from './k-affine';
import { withKernels } from './with-kernels';

const { fround } = Math;
const BYTES = 176;
const HIGH = 16;
const CODES = 48;

const SEARCH = { top: 31, from: -0.5, by: 0.1, steps: 15 };
const WEIGHTED = { top: 31, from: -0.9, by: 0.05, steps: 36 };

/** The loops in plain TypeScript. */
export const plainQ5K: Required<BlockLoops> = {
  ...affineEncoders(SEARCH, WEIGHTED, BYTES, pack),
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
          const high = (bytes[from + HIGH + i]! >> group) & 1;
          const code = ((bytes[codes + i]! >> shift) & 15) | (high << 4);
          values[at + 32 * group + i] = fround(code * scale) - minimum;
        }
      }
    }
  },
};

/** 5.5 bits a value. */
export const q5_K = defineBlockType(
  {
    name: 'q5_K',
    id: 13,
    blockSize: SUPER,
    blockBytes: BYTES,
    maxMagnitude: 2 ** 21,
    scales: { f16: [0, 2] },
  },
  withKernels('q5_K', plainQ5K),
);

function pack(bytes: Uint8Array, to: number): void {
  for (let i = 0; i < 32; i++) {
    let high = 0;
    for (let group = 0; group < 8; group++) high |= (superCodes[32 * group + i]! >> 4) << group;
    bytes[to + HIGH + i] = high;
    for (let pair = 0; pair < 4; pair++) {
      const low = superCodes[64 * pair + i]! & 15;
      bytes[to + CODES + 32 * pair + i] = low | ((superCodes[64 * pair + 32 + i]! & 15) << 4);
    }
  }
}
