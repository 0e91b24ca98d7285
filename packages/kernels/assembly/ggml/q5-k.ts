// Q5_K of ggml: 256 values in 176 bytes. The plain twin, with the format, is q5-k.ts in @qlora/ggml-blocks.
import { fitSuperBlock, readGroups, SUPER } from './k-affine';
import { CODES, GROUPS } from './places';
import { highNibbles, lowNibbles, scaled } from './widen';

const BLOCK: usize = 176;
const HIGH: usize = 16;
const LOW: usize = 48;

/** Bytes of `blocks` super-blocks. `importance` lies as the values do; 0 for none. */
export function encodeQ5K(values: usize, importance: usize, bytes: usize, blocks: i32): void {
  const nibble = i8x16.splat(15);
  const fifth = i8x16.splat(16);
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += BLOCK, values += SUPER) {
    fitSuperBlock(values, importance, bytes, 31, importance ? -0.9 : -0.5, importance ? 0.05 : 0.1, importance ? 36 : 15);
    for (let i: usize = 0; i < 32; i += 16) {
      let high = i8x16.splat(0);
      for (let pair: usize = 0; pair < 4; pair++) {
        const a = v128.load(CODES + (pair << 6) + i);
        const b = v128.load(CODES + (pair << 6) + i, 32);
        const low = v128.or(v128.and(a, nibble), i16x8.shl(v128.and(b, nibble), 4));
        v128.store(bytes + (pair << 5) + i, low, LOW);
        // The fifth bits of both, moved to where the group's lie: a code has five, so that none leaves its byte.
        high = v128.or(high, i16x8.shl(i16x8.shr_u(v128.and(a, fifth), 4), <i32>(pair << 1)));
        high = v128.or(high, i16x8.shl(i16x8.shr_u(v128.and(b, fifth), 4), <i32>(pair << 1) + 1));
      }
      v128.store(bytes + i, high, HIGH);
    }
    if (importance) importance += SUPER;
  }
}

/** Values of `blocks` super-blocks. */
export function decodeQ5K(bytes: usize, values: usize, blocks: i32): void {
  const one = i8x16.splat(1);
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += BLOCK, values += SUPER) {
    readGroups(bytes);
    for (let pair: usize = 0; pair < 4; pair++) {
      const group = pair << 1;
      const scale = v128.load32_splat(GROUPS + (pair << 3));
      const scale1 = v128.load32_splat(GROUPS + (pair << 3), 4);
      const minimum = v128.load32_splat(GROUPS + (pair << 3), 32);
      const minimum1 = v128.load32_splat(GROUPS + (pair << 3), 36);
      for (let i: usize = 0; i < 32; i += 16) {
        const both = v128.load(bytes + (pair << 5) + i, LOW);
        const bits = v128.load(bytes + i, HIGH);
        const high = i16x8.shl(v128.and(i16x8.shr_u(bits, <i32>group), one), 4);
        const high1 = i16x8.shl(v128.and(i16x8.shr_u(bits, <i32>group + 1), one), 4);
        const out = values + (pair << 8) + (i << 2);
        scaled(v128.or(lowNibbles(both), high), scale, minimum, out);
        scaled(v128.or(highNibbles(both), high1), scale1, minimum1, out + 128);
      }
    }
  }
}
