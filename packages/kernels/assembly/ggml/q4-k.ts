// Q4_K of ggml: 256 values in 144 bytes. The plain twin, with the format, is q4-k.ts in @qlora/ggml-blocks.
import { fitSuperBlock, readGroups, SUPER } from './k-affine';
import { CODES, GROUPS } from './places';
import { highNibbles, lowNibbles, scaled } from './widen';

const BLOCK: usize = 144;

/** Bytes of `blocks` super-blocks. `importance` lies as the values do; 0 for none. */
export function encodeQ4K(values: usize, importance: usize, bytes: usize, blocks: i32): void {
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += BLOCK, values += SUPER) {
    fitSuperBlock(values, importance, bytes, 15, importance ? -0.9 : -1, importance ? 0.05 : 0.1, importance ? 36 : 20);
    for (let pair: usize = 0; pair < 4; pair++) {
      for (let i: usize = 0; i < 32; i += 16) {
        const codes = CODES + (pair << 6) + i;
        v128.store(bytes + (pair << 5) + i, v128.or(v128.load(codes), i16x8.shl(v128.load(codes, 32), 4)), 16);
      }
    }
    if (importance) importance += SUPER;
  }
}

/** Values of `blocks` super-blocks. */
export function decodeQ4K(bytes: usize, values: usize, blocks: i32): void {
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += BLOCK, values += SUPER) {
    readGroups(bytes);
    for (let pair: usize = 0; pair < 4; pair++) {
      const scale = v128.load32_splat(GROUPS + (pair << 3));
      const scale1 = v128.load32_splat(GROUPS + (pair << 3), 4);
      const minimum = v128.load32_splat(GROUPS + (pair << 3), 32);
      const minimum1 = v128.load32_splat(GROUPS + (pair << 3), 36);
      for (let i: usize = 0; i < 32; i += 16) {
        const both = v128.load(bytes + (pair << 5) + i, 16);
        const out = values + (pair << 8) + (i << 2);
        scaled(lowNibbles(both), scale, minimum, out);
        scaled(highNibbles(both), scale1, minimum1, out + 128);
      }
    }
  }
}
