// Q6_K: super-blocks of 256 values in 16 groups of 16. The lower four bits of the codes in 128 bytes, the upper two in 64
// bytes, a signed byte of scale a group, an f16 scale d. A value is d · scale · (code − 32) (ggml/src/ggml-quants.c,
// quantize_row_q6_K_ref and quantize_row_q6_K_impl; llama.cpp v0.5.0).
//
// Each 128 codes take 64 bytes of the lower and 32 of the upper bits: a byte of the upper holds the codes that lie 32 apart, a
// byte of the lower those that lie 64 apart.
import { type BlockLoops, defineBlockType } from './define';
import { fitSymmetric, ZERO } from './fit-symmetric';
import { getHalf, putHalf } from './half-bytes';
import { SUPER } from './k-affine';
import { nearestIn, nearestInt } from './nearest';
import { withKernels } from './with-kernels';

const { fround } = Math;
const BYTES = 210;
const HIGH = 128;
const SCALES = 192;
const D = 208;
const GROUPS = 16;
const SIZE = 16;

const codes = new Uint8Array(SUPER);
const scales = new Float32Array(GROUPS);

/** The loops in plain TypeScript. */
export const plainQ6K: Required<BlockLoops> = {
  encode: (values, bytes) => encode(values, undefined, bytes),
  encodeRow: encode,
  decode(bytes, values) {
    for (let at = 0, from = 0; at < values.length; at += SUPER, from += BYTES) {
      const d = getHalf(bytes, from + D);
      for (let i = 0; i < SUPER; i++) {
        const [half, quarter, column] = [i >> 7, (i >> 5) & 3, i & 31];
        const low = bytes[from + 64 * half + 32 * (quarter & 1) + column]! >> (4 * (quarter >> 1));
        const high = bytes[from + HIGH + 32 * half + column]! >> (2 * quarter);
        const scale = fround(d * ((bytes[from + SCALES + (i >> 4)]! << 24) >> 24));
        values[at + i] = scale * (((low & 15) | ((high & 3) << 4)) - 32);
      }
    }
  },
};

/** 6.5625 bits a value. */
export const q6_K = defineBlockType(
  { name: 'q6_K', id: 14, blockSize: SUPER, blockBytes: BYTES, maxMagnitude: 2 ** 27, scales: { f16: [D] } },
  withKernels('q6_K', plainQ6K),
);

function encode(values: Float32Array, importance: Float32Array | undefined, bytes: Uint8Array): void {
  for (let at = 0, to = 0; at < values.length; at += SUPER, to += BYTES) {
    let largest = 0;
    let peak = 0;
    for (let group = 0; group < GROUPS; group++) {
      const start = at + SIZE * group;
      const scale = fitSymmetric(SIZE, 32, values, start, codes, SIZE * group, importance, start);
      scales[group] = scale;
      if (Math.abs(scale) > peak) {
        peak = Math.abs(scale);
        largest = scale;
      }
    }
    if (peak < ZERO) {
      bytes.fill(0, to, to + BYTES);
      continue;
    }
    const inverse = fround(-128 / largest);
    putHalf(bytes, to + D, fround(1 / inverse));
    const d = getHalf(bytes, to + D);
    for (let group = 0; group < GROUPS; group++) {
      const code = (Math.min(127, nearestInt(fround(inverse * scales[group]!))) << 24) >> 24;
      bytes[to + SCALES + group] = code;
      const scale = fround(d * code);
      if (scale === 0) continue;
      for (let i = SIZE * group; i < SIZE * (group + 1); i++) {
        codes[i] = nearestIn(fround(values[at + i]! / scale), -32, 31) + 32;
      }
    }
    pack(bytes, to);
  }
}

function pack(bytes: Uint8Array, to: number): void {
  for (let half = 0; half < 2; half++) {
    for (let column = 0; column < 32; column++) {
      const at = 128 * half + column;
      const [a, b, c, d] = [codes[at]!, codes[at + 32]!, codes[at + 64]!, codes[at + 96]!];
      bytes[to + 64 * half + column] = (a & 15) | ((c & 15) << 4);
      bytes[to + 64 * half + 32 + column] = (b & 15) | ((d & 15) << 4);
      bytes[to + HIGH + 32 * half + column] = (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((d >> 4) << 6);
    }
  }
}
