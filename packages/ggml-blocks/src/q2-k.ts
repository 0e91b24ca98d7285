// Q2_K: super-blocks of 256 values in 16 groups of 16. Sixteen bytes with a 4-bit scale (low) and minimum (high) a group,
// 64 bytes of 2-bit codes, an f16 scale d and an f16 minimum dmin. A value is d · scale · code − dmin · minimum
// (ggml/src/ggml-quants.c, quantize_row_q2_K_ref and quantize_row_q2_K_impl; llama.cpp v0.5.0).
import { defineBlockType } from './define';
import { affine, fitAffine } from './fit-affine';
import { fitPositive } from './fit-positive';
import { getHalf, putHalf } from './half-bytes';
import { SUPER, sumOfSquares } from './k-affine';
import { packPairs, pairOf } from './k-pairs';
import { weighGroup } from './k-weights';
import { nearestIn, nearestInt } from './nearest';

const { fround } = Math;
const BYTES = 84;
const CODES = 16;
const D = 80;
const GROUPS = 16;
const SIZE = 16;

// Without an importance matrix the error is a sum of magnitudes.
const SEARCH = { top: 3, from: -0.5, by: 0.1, steps: 15, absolute: true };
const WEIGHTED = { top: 3, from: -0.9, by: 0.05, steps: 36 };

const codes = new Uint8Array(SUPER);
const weights = new Float32Array(SIZE);
const scales = new Float32Array(GROUPS);
const minimums = new Float32Array(GROUPS);
const sums = new Float32Array(GROUPS);
const scaleCodes = new Uint8Array(GROUPS);
const minimumCodes = new Uint8Array(GROUPS);

/** 2.625 bits a value. */
export const q2_K = defineBlockType(
  {
    name: 'q2_K',
    id: 10,
    blockSize: SUPER,
    blockBytes: BYTES,
    maxMagnitude: 2 ** 18,
    scales: { f16: [80, 82] },
  },
  {
    encode(values, bytes) {
      for (let at = 0, to = 0; at < values.length; at += SUPER, to += BYTES) {
        let maxScale = 0;
        let maxMinimum = 0;
        for (let group = 0; group < GROUPS; group++) {
          const start = at + SIZE * group;
          for (let i = 0; i < SIZE; i++) weights[i] = Math.abs(values[start + i]!);
          scales[group] = fitAffine(SIZE, SEARCH, values, start, weights, codes, SIZE * group);
          minimums[group] = affine.minimum;
          if (scales[group]! > maxScale) maxScale = scales[group]!;
          if (minimums[group]! > maxMinimum) maxMinimum = minimums[group]!;
        }
        quarter(scales, maxScale, scaleCodes);
        quarter(minimums, maxMinimum, minimumCodes);
        putHalf(bytes, to + D, fround(maxScale / 15));
        putHalf(bytes, to + D + 2, fround(maxMinimum / 15));
        finish(values, at, bytes, to);
      }
    },
    encodeRow(row, importance, bytes) {
      for (let at = 0, to = 0; at < row.length; at += SUPER, to += BYTES) {
        const variance = fround(sumOfSquares(row, at, SUPER) / SUPER);
        for (let group = 0; group < GROUPS; group++) {
          const start = at + SIZE * group;
          sums[group] = weighGroup(row, start, importance, variance, weights);
          scales[group] = fitAffine(SIZE, WEIGHTED, row, start, weights, codes, SIZE * group);
          minimums[group] = affine.minimum;
        }
        putHalf(bytes, to + D, fitPositive(15, scales, scaleCodes, sums));
        putHalf(bytes, to + D + 2, fitPositive(15, minimums, minimumCodes, sums));
        finish(row, at, bytes, to);
      }
    },
    decode(bytes, values) {
      for (let at = 0, from = 0; at < values.length; at += SUPER, from += BYTES) {
        const d = getHalf(bytes, from + D);
        const dmin = getHalf(bytes, from + D + 2);
        for (let group = 0; group < GROUPS; group++) {
          const scale = fround(d * (bytes[from + group]! & 15));
          const minimum = fround(dmin * (bytes[from + group]! >> 4));
          for (let i = SIZE * group; i < SIZE * (group + 1); i++) {
            values[at + i] = fround(scale * pairOf(bytes, from + CODES, i)) - minimum;
          }
        }
      }
    },
  },
);

/** Codes of 4 bits of numbers up to `max`. */
function quarter(numbers: Float32Array, max: number, to: Uint8Array): void {
  to.fill(0);
  if (!(max > 0)) return;
  const inverse = fround(15 / max);
  for (let i = 0; i < GROUPS; i++) to[i] = nearestInt(fround(inverse * numbers[i]!));
}

/** Writes the scales' codes, then the codes of the values for what those and the f16 numbers stand for. */
function finish(values: Float32Array, at: number, bytes: Uint8Array, to: number): void {
  const d = getHalf(bytes, to + D);
  const dmin = getHalf(bytes, to + D + 2);
  for (let group = 0; group < GROUPS; group++) {
    const both = scaleCodes[group]! | (minimumCodes[group]! << 4);
    bytes[to + group] = both;
    const scale = fround(d * (both & 15));
    if (scale === 0) continue;
    const minimum = fround(dmin * ((both & 255) >> 4));
    for (let i = SIZE * group; i < SIZE * (group + 1); i++) {
      codes[i] = nearestIn(fround(fround(values[at + i]! + minimum) / scale), 0, 3);
    }
  }
  packPairs(codes, bytes, to + CODES);
}
