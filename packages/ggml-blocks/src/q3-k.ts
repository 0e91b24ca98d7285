// Q3_K: super-blocks of 256 values in 16 groups of 16. The third bits of the codes in 32 bytes, those of 32 values in the same
// bit of each; 64 bytes with the lower two; 12 bytes of 6-bit scales; an f16 scale d. A value is d · (scale − 32) · (code − 4)
// (ggml/src/ggml-quants.c, quantize_row_q3_K_ref and quantize_row_q3_K_impl; llama.cpp v0.5.0).
import { defineBlockType } from './define';
import { fitQ3 } from './fit-q3';
import { fitSymmetric } from './fit-symmetric';
import { getHalf, putHalf } from './half-bytes';
import { SUPER, sumOfSquares } from './k-affine';
import { packPairs, pairOf } from './k-pairs';
import { weighGroup } from './k-weights';
import { nearestIn, nearestInt } from './nearest';

const { fround } = Math;
const BYTES = 110;
const CODES = 32;
const SCALES = 96;
const D = 108;
const GROUPS = 16;
const SIZE = 16;

const codes = new Uint8Array(SUPER);
const signedCodes = new Int8Array(codes.buffer);
const weights = new Float32Array(SIZE);
const scales = new Float32Array(GROUPS);
const sums = new Float32Array(GROUPS);
const scaleCodes = new Uint8Array(GROUPS);

/** 3.4375 bits a value. */
export const q3_K = defineBlockType(
  { name: 'q3_K', id: 11, blockSize: SUPER, blockBytes: BYTES, maxMagnitude: 2 ** 22, scales: { f16: [D] } },
  {
    encode(values, bytes) {
      for (let at = 0, to = 0; at < values.length; at += SUPER, to += BYTES) {
        let largest = 0;
        let peak = 0;
        for (let group = 0; group < GROUPS; group++) {
          const scale = fitQ3(SIZE, 4, values, at + SIZE * group, signedCodes, SIZE * group);
          scales[group] = scale;
          if (Math.abs(scale) > peak) {
            peak = Math.abs(scale);
            largest = scale;
          }
        }
        bytes.fill(0, to + SCALES, to + D);
        const inverse = fround(-32 / largest);
        for (let group = 0; group < GROUPS && largest !== 0; group++) {
          // A code of 8 bits is limited, whatever was in the bits above.
          const code = (nearestInt(fround(inverse * scales[group]!)) << 24) >> 24;
          scaleCodes[group] = Math.max(-32, Math.min(31, code)) + 32;
        }
        if (largest !== 0) putScales(bytes, to + SCALES);
        putHalf(bytes, to + D, largest === 0 ? 0 : fround(1 / inverse));
        finish(values, at, bytes, to);
      }
    },
    encodeRow(row, importance, bytes) {
      for (let at = 0, to = 0; at < row.length; at += SUPER, to += BYTES) {
        const variance = fround(fround(2 * sumOfSquares(row, at, SUPER)) / SUPER);
        for (let group = 0; group < GROUPS; group++) {
          const start = at + SIZE * group;
          sums[group] = weighGroup(row, start, importance, variance, weights);
          scales[group] = fitSymmetric(SIZE, 4, row, start, codes, SIZE * group, weights, 0);
        }
        const d = fitSymmetric(GROUPS, 32, scales, 0, scaleCodes, 0, sums, 0);
        bytes.fill(0, to + SCALES, to + D);
        putScales(bytes, to + SCALES);
        putHalf(bytes, to + D, d);
        finish(row, at, bytes, to);
      }
    },
    decode(bytes, values) {
      for (let at = 0, from = 0; at < values.length; at += SUPER, from += BYTES) {
        const d = getHalf(bytes, from + D);
        for (let group = 0; group < GROUPS; group++) {
          const scale = fround(d * groupScale(bytes, from + SCALES, group));
          for (let i = SIZE * group; i < SIZE * (group + 1); i++) {
            const high = (bytes[from + (i & 31)]! >> (i >> 5)) & 1;
            values[at + i] = scale * ((pairOf(bytes, from + CODES, i) | (high << 2)) - 4);
          }
        }
      }
    },
  },
);

function putScales(bytes: Uint8Array, at: number): void {
  for (let group = 0; group < GROUPS; group++) {
    const code = scaleCodes[group]!;
    bytes[at + (group & 7)] = bytes[at + (group & 7)]! | ((code & 15) << (group < 8 ? 0 : 4));
    const high = at + 8 + (group & 3);
    bytes[high] = bytes[high]! | ((code >> 4) << (2 * (group >> 2)));
  }
}

function groupScale(bytes: Uint8Array, at: number, group: number): number {
  const low = (bytes[at + (group & 7)]! >> (group < 8 ? 0 : 4)) & 15;
  const high = (bytes[at + 8 + (group & 3)]! >> (2 * (group >> 2))) & 3;
  return (low | (high << 4)) - 32;
}

/** The codes of the values for what the scales, as they are written, stand for. */
function finish(values: Float32Array, at: number, bytes: Uint8Array, to: number): void {
  const d = getHalf(bytes, to + D);
  for (let group = 0; group < GROUPS; group++) {
    const scale = fround(d * groupScale(bytes, to + SCALES, group));
    if (scale === 0) continue;
    for (let i = SIZE * group; i < SIZE * (group + 1); i++) {
      codes[i] = nearestIn(fround(values[at + i]! / scale), -4, 3) + 4;
    }
  }
  bytes.fill(0, to, to + 32);
  for (let i = 0; i < SUPER; i++) {
    if (codes[i]! <= 3) continue;
    bytes[to + (i & 31)] = bytes[to + (i & 31)]! | (1 << (i >> 5));
    codes[i] = codes[i]! - 4;
  }
  packPairs(codes, bytes, to + CODES);
}
