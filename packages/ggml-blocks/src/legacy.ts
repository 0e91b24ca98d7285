// Q4_0, Q4_1, Q5_0 and Q5_1: blocks of 32 values with an f16 scale d, in the `_1` types an f16 minimum m, and codes of 4 or 5
// bits: code · d + m, or (code − half) · d. The first 16 values lie in the low nibbles, the others in the high ones; fifth
// bits in four bytes of their own before (ggml/src/ggml-quants.c, quantize_row_q4_0_ref and its kin; with an importance
// matrix the _impl functions, which search for a better scale; llama.cpp v0.5.0).
//
// Odd: codes come from the f32 scale, before it is rounded to f16. Sums become codes as the C code casts them, by their
// lowest eight bits: that tells where a scale is so small that its reciprocal is infinite.
import { type BlockLoops, defineBlockType } from './define';
import { affine, fitAffine } from './fit-affine';
import { fitSymmetric } from './fit-symmetric';
import { getHalf, putHalf } from './half-bytes';
import { withKernels } from './with-kernels';

const { fround } = Math;
const SIZE = 32;
const HALF = 16;

const codes = new Uint8Array(SIZE);
const weights = new Float32Array(SIZE);

/** The loops of a symmetric type with `bits` bits a code. */
function symmetric(bits: 4 | 5, blockBytes: number): Required<BlockLoops> {
  const half = 1 << (bits - 1);
  const middle = half + 0.5;
  return {
    encode(values, bytes) {
      for (let at = 0, to = 0; at < values.length; at += SIZE, to += blockBytes) {
        const scale = fround(largest(values, at) / -half);
        const inverse = scale === 0 ? 0 : fround(1 / scale);
        putHalf(bytes, to, scale);
        for (let i = 0; i < SIZE; i++) {
          const code = lowByte(fround(fround(values[at + i]! * inverse) + middle));
          codes[i] = Math.min(2 * half - 1, code);
        }
        putCodes(bytes, to + 2, bits);
      }
    },
    encodeRow(row, importance, bytes) {
      const variance = meanSquare(row);
      for (let at = 0, to = 0; at < row.length; at += SIZE, to += blockBytes) {
        weigh(row, importance, at, variance);
        putHalf(bytes, to, fitSymmetric(SIZE, half, row, at, codes, 0, weights, 0));
        putCodes(bytes, to + 2, bits);
      }
    },
    decode(bytes, values) {
      for (let at = 0, from = 0; at < values.length; at += SIZE, from += blockBytes) {
        const scale = getHalf(bytes, from);
        getCodes(bytes, from + 2, bits);
        for (let i = 0; i < SIZE; i++) values[at + i] = (codes[i]! - half) * scale;
      }
    },
  };
}

// What make_qkx3_quants is called with.
const SEARCH = { from: -0.9, by: 0.05, steps: 36 };

/** The loops of a type with a minimum. */
function withMinimum(bits: 4 | 5, blockBytes: number): Required<BlockLoops> {
  const top = (1 << bits) - 1;
  const search = { top, ...SEARCH };
  return {
    encode(values, bytes) {
      for (let at = 0, to = 0; at < values.length; at += SIZE, to += blockBytes) {
        let min = values[at]!;
        let max = min;
        for (let i = at + 1; i < at + SIZE; i++) {
          const value = values[i]!;
          if (value < min) min = value;
          if (value > max) max = value;
        }
        const scale = fround(fround(max - min) / top);
        const inverse = scale === 0 ? 0 : fround(1 / scale);
        putHalf(bytes, to, scale);
        putHalf(bytes, to + 2, min);
        for (let i = 0; i < SIZE; i++) {
          const code = lowByte(fround(fround(fround(values[at + i]! - min) * inverse) + 0.5));
          // Of five bits the lowest are taken, without a limit.
          codes[i] = bits === 4 ? Math.min(top, code) : code;
        }
        putCodes(bytes, to + 4, bits);
      }
    },
    encodeRow(row, importance, bytes) {
      const variance = meanSquare(row);
      for (let at = 0, to = 0; at < row.length; at += SIZE, to += blockBytes) {
        weigh(row, importance, at, variance);
        putHalf(bytes, to, fitAffine(SIZE, search, row, at, weights, codes, 0));
        putHalf(bytes, to + 2, -affine.minimum);
        putCodes(bytes, to + 4, bits);
      }
    },
    decode(bytes, values) {
      for (let at = 0, from = 0; at < values.length; at += SIZE, from += blockBytes) {
        const scale = getHalf(bytes, from);
        const min = getHalf(bytes, from + 2);
        getCodes(bytes, from + 4, bits);
        for (let i = 0; i < SIZE; i++) values[at + i] = fround(codes[i]! * scale) + min;
      }
    },
  };
}

/** The value of largest magnitude, the first of several. */
function largest(values: Float32Array, at: number): number {
  let peak = 0;
  let value = 0;
  for (let i = at; i < at + SIZE; i++) {
    const magnitude = Math.abs(values[i]!);
    if (peak < magnitude) {
      peak = magnitude;
      value = values[i]!;
    }
  }
  return value;
}

/** C's cast of a float to int8_t, as x86 does it. */
function lowByte(sum: number): number {
  return (sum << 24) >> 24;
}

function meanSquare(row: Float32Array): number {
  let sum = 0;
  for (const value of row) sum = fround(sum + fround(value * value));
  return fround(sum / row.length);
}

function weigh(row: Float32Array, importance: Float32Array, at: number, variance: number): void {
  for (let i = 0; i < SIZE; i++) {
    const value = row[at + i]!;
    weights[i] = importance[at + i]! * fround(Math.sqrt(fround(variance + fround(value * value))));
  }
}

function putCodes(bytes: Uint8Array, at: number, bits: 4 | 5): void {
  let nibbles = at;
  if (bits === 5) {
    for (let i = 0; i < 4; i++) {
      let byte = 0;
      for (let bit = 0; bit < 8; bit++) byte |= ((codes[8 * i + bit]! >> 4) & 1) << bit;
      bytes[at + i] = byte;
    }
    nibbles += 4;
  }
  // Of four bits a code may be out of range and touch its neighbour, as it does in C.
  const mask = bits === 5 ? 15 : 255;
  for (let i = 0; i < HALF; i++) bytes[nibbles + i] = (codes[i]! & mask) | ((codes[i + HALF]! & mask) << 4);
}

function getCodes(bytes: Uint8Array, at: number, bits: 4 | 5): void {
  const nibbles = bits === 5 ? at + 4 : at;
  for (let i = 0; i < HALF; i++) {
    codes[i] = bytes[nibbles + i]! & 15;
    codes[i + HALF] = bytes[nibbles + i]! >> 4;
  }
  if (bits === 4) return;
  for (let i = 0; i < SIZE; i++) codes[i] = codes[i]! | (((bytes[at + (i >> 3)]! >> (i & 7)) & 1) << 4);
}

/** The loops of Q4_0 in plain TypeScript. */
export const plainQ40 = symmetric(4, 18);

/** 4.5 bits a value. */
export const q4_0 = defineBlockType(
  { name: 'q4_0', id: 2, blockSize: SIZE, blockBytes: 18, maxMagnitude: 524159.96875, scales: { f16: [0] } },
  withKernels('q4_0', plainQ40),
);

/** 5 bits a value. The minimum is an f16, and so has its range. */
export const q4_1 = defineBlockType(
  {
    name: 'q4_1',
    id: 3,
    blockSize: SIZE,
    blockBytes: 20,
    maxMagnitude: 65519.99609375,
    scales: { f16: [0, 2] },
  },
  withMinimum(4, 20),
);

/** 5.5 bits a value. */
export const q5_0 = defineBlockType(
  { name: 'q5_0', id: 6, blockSize: SIZE, blockBytes: 22, maxMagnitude: 1048319.9375, scales: { f16: [0] } },
  symmetric(5, 22),
);

/** 6 bits a value. */
export const q5_1 = defineBlockType(
  {
    name: 'q5_1',
    id: 7,
    blockSize: SIZE,
    blockBytes: 24,
    maxMagnitude: 65519.99609375,
    scales: { f16: [0, 2] },
  },
  withMinimum(5, 24),
);
