// IQ4_NL and IQ4_XS: codes of 4 bits into 16 values that lie closer about zero. IQ4_NL has an f16 scale for 32 values;
// IQ4_XS has one for 256 and a 6-bit scale for each 32: d, two bytes with the upper two bits of the scales, four with the lower
// four, then codes. The first 16 of 32 values lie in the low nibbles (ggml/src/ggml-quants.c, quantize_row_iq4_nl_impl, and
// kvalues_iq4nl of ggml-common.h; llama.cpp v0.5.0).
//
// Odd: all is f32, rounded after every operation and summed in order.
import { type BlockLoops, defineBlockType } from './define';
import { ZERO } from './fit-symmetric';
import { getHalf, putHalf } from './half-bytes';
import { SUPER, sumOfSquares } from './k-affine';
import { nearestIn } from './nearest';
import { withKernels } from './with-kernels';

const { fround } = Math;
const SIZE = 32;
const NL_BYTES = 18;
const XS_BYTES = 136;
const XS_LOW = 4;
const XS_CODES = 8;

/** The values that codes stand for, times a scale. */
export const IQ4_VALUES = Int8Array.of(
  ...[-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
);
const FIRST = -127;
// As many scales are tried on either side of the one that the largest value gives.
const TRIES = 7;

const codes = new Uint8Array(SIZE);
const weights = new Float32Array(SIZE);
const scales = new Float32Array(SUPER / SIZE);

/** The loops in plain TypeScript. */
export const plainIq4Nl: Required<BlockLoops> = {
  encode: (values, bytes) => encodeNl(values, undefined, bytes),
  encodeRow: encodeNl,
  decode(bytes, values) {
    for (let at = 0, from = 0; at < values.length; at += SIZE, from += NL_BYTES) {
      unpack(bytes, from + 2, getHalf(bytes, from), values, at);
    }
  },
};

/** 4.5 bits a value. */
export const iq4_nl = defineBlockType(
  {
    name: 'iq4_nl',
    id: 20,
    blockSize: SIZE,
    blockBytes: NL_BYTES,
    maxMagnitude: 2 ** 22,
    scales: { f16: [0] },
  },
  withKernels('iq4_nl', plainIq4Nl),
);

/** The loops in plain TypeScript. */
export const plainIq4Xs: Required<BlockLoops> = {
  encode: (values, bytes) => encodeXs(values, undefined, bytes),
  encodeRow: encodeXs,
  decode(bytes, values) {
    for (let at = 0, from = 0; at < values.length; at += SUPER, from += XS_BYTES) {
      const d = getHalf(bytes, from);
      for (let group = 0; group < SUPER / SIZE; group++) {
        const low = (bytes[from + XS_LOW + (group >> 1)]! >> (4 * (group & 1))) & 15;
        const high = (bytes[from + 2 + (group >> 2)]! >> (2 * (group & 3))) & 3;
        const scale = fround(d * ((low | (high << 4)) - 32));
        unpack(bytes, from + XS_CODES + 16 * group, scale, values, at + SIZE * group);
      }
    }
  },
};

/** 4.25 bits a value. */
export const iq4_xs = defineBlockType(
  {
    name: 'iq4_xs',
    id: 23,
    blockSize: SUPER,
    blockBytes: XS_BYTES,
    maxMagnitude: 2 ** 27,
    scales: { f16: [0] },
  },
  withKernels('iq4_xs', plainIq4Xs),
);

function encodeNl(values: Float32Array, importance: Float32Array | undefined, bytes: Uint8Array): void {
  for (let at = 0, to = 0; at < values.length; at += SIZE, to += NL_BYTES) {
    const scale = fit(values, at, importance, varianceOf(values, at, SIZE));
    putHalf(bytes, to, scale);
    pack(values, at, scale, bytes, to + 2);
  }
}

function encodeXs(values: Float32Array, importance: Float32Array | undefined, bytes: Uint8Array): void {
  for (let at = 0, to = 0; at < values.length; at += SUPER, to += XS_BYTES) {
    const variance = varianceOf(values, at, SUPER);
    let largest = 0;
    let peak = 0;
    for (let group = 0; group < SUPER / SIZE; group++) {
      const scale = fit(values, at + SIZE * group, importance, variance);
      scales[group] = scale;
      if (Math.abs(scale) > peak) {
        peak = Math.abs(scale);
        largest = scale;
      }
    }
    const d = fround(-largest / 32);
    const inverse = d === 0 ? 0 : fround(1 / d);
    putHalf(bytes, to, d);
    bytes.fill(0, to + 2, to + XS_CODES);
    for (let group = 0; group < SUPER / SIZE; group++) {
      const code = nearestIn(fround(inverse * scales[group]!), -32, 31);
      const low = to + XS_LOW + (group >> 1);
      const high = to + 2 + (group >> 2);
      bytes[low] = bytes[low]! | (((code + 32) & 15) << (4 * (group & 1)));
      bytes[high] = bytes[high]! | (((code + 32) >> 4) << (2 * (group & 3)));
      // The scale that codes are found with is that of f32, not the f16 that is written.
      pack(values, at + SIZE * group, fround(d * code), bytes, to + XS_CODES + 16 * group);
    }
  }
}

/** The scale of least weighted error among those tried. */
function fit(
  values: Float32Array,
  at: number,
  importance: Float32Array | undefined,
  variance: number,
): number {
  let largest = 0;
  let peak = 0;
  for (let i = 0; i < SIZE; i++) {
    const value = values[at + i]!;
    const square = fround(value * value);
    weights[i] = importance ? importance[at + i]! * fround(Math.sqrt(fround(variance + square))) : square;
    if (Math.abs(value) > peak) {
      peak = Math.abs(value);
      largest = value;
    }
  }
  if (peak < ZERO) return 0;
  let scale = fround(-largest / FIRST);
  let best = 0;
  for (let step = -TRIES - 1; step <= TRIES; step++) {
    const first = step < -TRIES;
    const inverse = first ? fround(1 / scale) : fround((step + FIRST) / largest);
    let sumOfProducts = 0;
    let sumOfWeights = 0;
    for (let i = 0; i < SIZE; i++) {
      const value = values[at + i]!;
      const code = IQ4_VALUES[nearestCode(fround(inverse * value))]!;
      const weighted = fround(weights[i]! * code);
      sumOfProducts = fround(sumOfProducts + fround(weighted * value));
      sumOfWeights = fround(sumOfWeights + fround(weighted * code));
    }
    if (first) {
      scale = sumOfWeights > 0 ? fround(sumOfProducts / sumOfWeights) : 0;
    } else if (sumOfWeights > 0 && fround(sumOfProducts * sumOfProducts) > fround(best * sumOfWeights)) {
      scale = fround(sumOfProducts / sumOfWeights);
    } else continue;
    best = fround(scale * sumOfProducts);
  }
  return scale;
}

function varianceOf(values: Float32Array, at: number, count: number): number {
  return fround(sumOfSquares(values, at, count) * (2 / count));
}

/** Index of the value nearest to `scaled`, the higher of two. NaN, which an infinite reciprocal makes, is the last. */
function nearestCode(scaled: number): number {
  if (Number.isNaN(scaled)) return 15;
  let code = 0;
  for (let step = 8; step > 0; step >>= 1) {
    // The differences that ggml compares are exact wherever it matters, so this is the same.
    if (2 * scaled >= IQ4_VALUES[code + step - 1]! + IQ4_VALUES[code + step]!) code += step;
  }
  return code;
}

function pack(values: Float32Array, at: number, scale: number, bytes: Uint8Array, to: number): void {
  const inverse = scale === 0 ? 0 : fround(1 / scale);
  for (let i = 0; i < SIZE; i++) codes[i] = nearestCode(fround(inverse * values[at + i]!));
  for (let i = 0; i < 16; i++) bytes[to + i] = codes[i]! | (codes[i + 16]! << 4);
}

function unpack(bytes: Uint8Array, from: number, scale: number, values: Float32Array, at: number): void {
  for (let i = 0; i < 16; i++) {
    const both = bytes[from + i]!;
    values[at + i] = scale * IQ4_VALUES[both & 15]!;
    values[at + 16 + i] = scale * IQ4_VALUES[both >> 4]!;
  }
}
