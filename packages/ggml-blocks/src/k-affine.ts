// What Q4_K and Q5_K share: a super-block of 256 values in 8 groups of 32, an f16 scale d and an f16 minimum dmin for the
// whole, and for each group 6 bits of scale and 6 of minimum in 12 bytes. A value is d · scale · code − dmin · minimum
// (ggml/src/ggml-quants.c, quantize_row_q4_K_ref, quantize_row_q4_K_impl and get_scale_min_k4; llama.cpp v0.5.0).
//
// Odd: the fit finds codes for exact scales; once those are 6 bits, the codes are rounded anew, and the first ones stay
// only where a group's scale has become zero.
import type { BlockLoops } from './define';
import { type AffineSearch, affine, fitAffine } from './fit-affine';
import { fitPositive } from './fit-positive';
import { getHalf, putHalf } from './half-bytes';
import { weighGroup } from './k-weights';
import { nearestIn, nearestInt } from './nearest';

const { fround } = Math;

/** Values of a super-block. */
export const SUPER = 256;
const GROUPS = 8;
const SIZE = 32;

const weights = new Float32Array(SIZE);
const scales = new Float32Array(GROUPS);
const minimums = new Float32Array(GROUPS);
const sums = new Float32Array(GROUPS);
const scaleCodes = new Uint8Array(GROUPS);
const minimumCodes = new Uint8Array(GROUPS);

/** Codes of a super-block, as {@link fitSuperBlock} leaves and the packing of a type takes them. */
export const superCodes = new Uint8Array(SUPER);

/** Scales of the 256 values at `at` to `bytes` at `to`: d, dmin and 12 bytes. Codes go to {@link superCodes}. */
function fitSuperBlock(
  search: AffineSearch,
  values: Float32Array,
  at: number,
  bytes: Uint8Array,
  to: number,
): void {
  let maxScale = 0;
  let maxMinimum = 0;
  for (let group = 0; group < GROUPS; group++) {
    const start = at + SIZE * group;
    const level = fround(Math.sqrt(fround(sumOfSquares(values, start, SIZE) / SIZE)));
    for (let i = 0; i < SIZE; i++) weights[i] = level + Math.abs(values[start + i]!);
    scales[group] = fitAffine(SIZE, search, values, start, weights, superCodes, SIZE * group);
    minimums[group] = affine.minimum;
    if (scales[group]! > maxScale) maxScale = scales[group]!;
    if (minimums[group]! > maxMinimum) maxMinimum = minimums[group]!;
  }
  const inverseScale = maxScale > 0 ? fround(63 / maxScale) : 0;
  const inverseMinimum = maxMinimum > 0 ? fround(63 / maxMinimum) : 0;
  for (let group = 0; group < GROUPS; group++) {
    scaleCodes[group] = nearestInt(fround(inverseScale * scales[group]!));
    minimumCodes[group] = nearestInt(fround(inverseMinimum * minimums[group]!));
  }
  limitCodes();
  putHalf(bytes, to, fround(maxScale / 63));
  putHalf(bytes, to + 2, fround(maxMinimum / 63));
  putScales(bytes, to + 4);
  roundCodes(search.top, values, at, bytes, to);
}

/** The same where columns matter by `importance`, whose first value for these is at `importanceAt`. */
function fitWeightedSuperBlock(
  search: AffineSearch,
  values: Float32Array,
  at: number,
  importance: Float32Array,
  bytes: Uint8Array,
  to: number,
): void {
  const variance = fround(fround(2 * sumOfSquares(values, at, SUPER)) / SUPER);
  for (let group = 0; group < GROUPS; group++) {
    const start = at + SIZE * group;
    sums[group] = weighGroup(values, start, importance, variance, weights);
    scales[group] = fitAffine(SIZE, search, values, start, weights, superCodes, SIZE * group);
    minimums[group] = affine.minimum;
  }
  putHalf(bytes, to, fitPositive(63, scales, scaleCodes, sums));
  putHalf(bytes, to + 2, fitPositive(63, minimums, minimumCodes, sums));
  // Q5_K alone limits them; they can only be above 63 if a scale is negative.
  if (search.top > 15) limitCodes();
  putScales(bytes, to + 4);
  roundCodes(search.top, values, at, bytes, to);
}

/** Scale and minimum of a group, as f32, from a super-block that begins at `at`. */
export function groupScale(bytes: Uint8Array, at: number, group: number, d: number): number {
  const first = at + 4 + group;
  const code = group < 4 ? bytes[first]! & 63 : (bytes[first + 4]! & 15) | ((bytes[first - 4]! >> 6) << 4);
  return fround(d * code);
}

/** See {@link groupScale}. */
export function groupMinimum(bytes: Uint8Array, at: number, group: number, dmin: number): number {
  const first = at + 4 + group;
  const code = group < 4 ? bytes[first + 4]! & 63 : (bytes[first + 4]! >> 4) | ((bytes[first]! >> 6) << 4);
  return fround(dmin * code);
}

/** The sum of the squares of `count` values. */
export function sumOfSquares(values: Float32Array, at: number, count: number): number {
  let sum = 0;
  for (let i = at; i < at + count; i++) sum = fround(sum + fround(values[i]! * values[i]!));
  return sum;
}

function limitCodes(): void {
  for (let group = 0; group < GROUPS; group++) {
    scaleCodes[group] = Math.min(63, scaleCodes[group]!);
    minimumCodes[group] = Math.min(63, minimumCodes[group]!);
  }
}

function putScales(bytes: Uint8Array, at: number): void {
  for (let group = 0; group < 4; group++) {
    const [scale, minimum] = [scaleCodes[group + 4]!, minimumCodes[group + 4]!];
    bytes[at + group] = scaleCodes[group]! | ((scale >> 4) << 6);
    bytes[at + group + 4] = minimumCodes[group]! | ((minimum >> 4) << 6);
    bytes[at + group + 8] = (scale & 15) | ((minimum & 15) << 4);
  }
}

function roundCodes(top: number, values: Float32Array, at: number, bytes: Uint8Array, from: number): void {
  const d = getHalf(bytes, from);
  const dmin = getHalf(bytes, from + 2);
  for (let group = 0; group < GROUPS; group++) {
    const scale = groupScale(bytes, from, group, d);
    if (scale === 0) continue;
    const minimum = groupMinimum(bytes, from, group, dmin);
    for (let i = SIZE * group; i < SIZE * (group + 1); i++) {
      superCodes[i] = nearestIn(fround(fround(values[at + i]! + minimum) / scale), 0, top);
    }
  }
}

/**
 * The encoders of a type of such super-blocks, which differ in their searches and in where codes go.
 *
 * @param pack puts {@link superCodes} into the super-block that begins at `to`.
 */
export function affineEncoders(
  search: AffineSearch,
  weighted: AffineSearch,
  blockBytes: number,
  pack: (bytes: Uint8Array, to: number) => void,
): Pick<Required<BlockLoops>, 'encode' | 'encodeRow'> {
  return {
    encode(values, bytes) {
      for (let at = 0, to = 0; at < values.length; at += SUPER, to += blockBytes) {
        fitSuperBlock(search, values, at, bytes, to);
        pack(bytes, to);
      }
    },
    encodeRow(row, importance, bytes) {
      for (let at = 0, to = 0; at < row.length; at += SUPER, to += blockBytes) {
        fitWeightedSuperBlock(weighted, row, at, importance, bytes, to);
        pack(bytes, to);
      }
    },
  };
}
