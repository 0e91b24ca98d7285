// IQ4_NL of ggml, 32 values in 18 bytes, and IQ4_XS, 256 in 136. The plain twin, with the formats, is iq4.ts in
// @qlora/ggml-blocks.
import { fromHalf, toHalf } from './half';
import { SUPER, sumOfSquares, weigh } from './k-affine';
import { nearest } from './nearest';
import { FITS, ROW, VALUES, WEIGHTS } from './places';
import { ZERO } from './symmetric';
import { transpose } from './transpose';
import { highNibbles, lowNibbles, signedScaled } from './widen';

const NL: usize = 18;
const XS: usize = 136;
const FIRST: f32 = -127;
const TRIES: i32 = 7;

/** The values of codes. */
const BOOK = memory.data<i8>([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]);

/** The middles between them, four lanes each: a code is the number of those that are not above a value. */
const BOUNDS = memory.data<f32>([
  -115.5, -115.5, -115.5, -115.5, -93.5, -93.5, -93.5, -93.5, -74, -74, -74, -74, -57, -57, -57, -57,
  -42, -42, -42, -42, -28.5, -28.5, -28.5, -28.5, -16, -16, -16, -16, -4.5, -4.5, -4.5, -4.5,
  7, 7, 7, 7, 19, 19, 19, 19, 31.5, 31.5, 31.5, 31.5, 45.5, 45.5, 45.5, 45.5,
  61, 61, 61, 61, 79, 79, 79, 79, 101, 101, 101, 101,
]);

/** Bytes of `blocks` blocks. `importance` lies as the values do; 0 for none. Reads and writes up to three blocks more. */
export function encodeIq4Nl(values: usize, importance: usize, bytes: usize, blocks: i32): void {
  for (const end = bytes + <usize>blocks * NL; bytes < end; bytes += 4 * NL, values += 512) {
    if (importance) {
      for (let block: usize = 0; block < 512; block += 128) {
        const variance = sumOfSquares(values + block, 32) * <f32>0.0625;
        weigh(values + block, importance + block, 32, variance, ROW + block);
      }
      importance += 512;
    }
    fit(values, importance, FITS);
    for (let block: usize = 0; block < 4; block++) {
      const scale = load<f32>(FITS + (block << 2));
      store<u16>(bytes + block * NL, toHalf(scale));
      pack(values + (block << 7), scale, bytes + block * NL + 2);
    }
  }
}

/** Bytes of `blocks` super-blocks. `importance` lies as the values do; 0 for none. */
export function encodeIq4Xs(values: usize, importance: usize, bytes: usize, blocks: i32): void {
  for (const end = bytes + <usize>blocks * XS; bytes < end; bytes += XS, values += SUPER) {
    const variance = importance ? sumOfSquares(values, 256) * <f32>0.0078125 : 0;
    for (let half: usize = 0; half < 2; half++) {
      if (importance) weigh(values + (half << 9), importance + (half << 9), 128, variance, ROW);
      fit(values + (half << 9), importance, FITS + (half << 4));
    }
    if (importance) importance += SUPER;
    let peak: f32 = 0;
    let largest: f32 = 0;
    for (let group: usize = 0; group < 8; group++) {
      const scale = load<f32>(FITS + (group << 2));
      if (abs(scale) > peak) {
        peak = abs(scale);
        largest = scale;
      }
    }
    const d = -largest / <f32>32;
    const inverse: f32 = d == 0 ? 0 : <f32>1 / d;
    let low: u32 = 0;
    let high: u32 = 0;
    for (let group: usize = 0; group < 8; group++) {
      const code = max(-32, min(31, nearest(inverse * load<f32>(FITS + (group << 2)))));
      low |= <u32>((code + 32) & 15) << <u32>(group << 2);
      high |= <u32>((code + 32) >> 4) << <u32>(group << 1);
      pack(values + (group << 7), d * <f32>code, bytes + (group << 4) + 8);
    }
    store<u16>(bytes, toHalf(d));
    store<u16>(bytes, high, 2);
    store<u32>(bytes, low, 4);
  }
}

/** Scales of four groups of 32; with importance their weights are in ROW. */
function fit(values: usize, importance: usize, scales: usize): void {
  const zero = f32x4.splat(0);
  transpose(values, 32, VALUES);
  if (importance) transpose(ROW, 32, WEIGHTS);
  let peak = zero;
  let largest = zero;
  for (let i: usize = 0; i < 512; i += 16) {
    const value = v128.load(VALUES + i);
    if (!importance) v128.store(WEIGHTS + i, f32x4.mul(value, value));
    const magnitude = f32x4.abs(value);
    const larger = f32x4.gt(magnitude, peak);
    peak = v128.bitselect(magnitude, peak, larger);
    largest = v128.bitselect(value, largest, larger);
  }
  let scale = f32x4.div(f32x4.neg(largest), f32x4.splat(FIRST));
  let best = zero;
  for (let step = -TRIES - 1; step <= TRIES; step++) {
    const first = step < -TRIES;
    const inverse = first
      ? f32x4.div(f32x4.splat(1), scale)
      : f32x4.div(f32x4.splat(<f32>step + FIRST), largest);
    let sumOfProducts = zero;
    let sumOfWeights = zero;
    for (let i: usize = 0; i < 512; i += 16) {
      const value = v128.load(VALUES + i);
      const code = levels(f32x4.mul(inverse, value));
      const weighted = f32x4.mul(v128.load(WEIGHTS + i), code);
      sumOfProducts = f32x4.add(sumOfProducts, f32x4.mul(weighted, value));
      sumOfWeights = f32x4.add(sumOfWeights, f32x4.mul(weighted, code));
    }
    const some = f32x4.gt(sumOfWeights, zero);
    const quotient = f32x4.div(sumOfProducts, sumOfWeights);
    if (first) {
      scale = v128.and(quotient, some);
      best = f32x4.mul(scale, sumOfProducts);
      continue;
    }
    const better = v128.and(
      some, f32x4.gt(f32x4.mul(sumOfProducts, sumOfProducts), f32x4.mul(best, sumOfWeights)),
    );
    scale = v128.bitselect(quotient, scale, better);
    best = v128.bitselect(f32x4.mul(quotient, sumOfProducts), best, better);
  }
  v128.store(scales, v128.and(scale, f32x4.ge(peak, f32x4.splat(ZERO))));
}

/** Four codes as integers. NaN counts as above all. */
// @ts-ignore: decorator
@inline function codesOf(scaled: v128): v128 {
  let count = i32x4.splat(15);
  for (let i: usize = 0; i < 240; i += 16) count = i32x4.add(count, f32x4.lt(scaled, v128.load(BOUNDS + i)));
  return count;
}

/** The values of the codes of four numbers. */
// @ts-ignore: decorator
@inline function levels(scaled: v128): v128 {
  const codes = i8x16.swizzle(v128.load(BOOK), codesOf(scaled));
  return f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(codes, 24), 24));
}

/** Bytes of the codes of 32 values for a scale. */
function pack(values: usize, scale: f32, bytes: usize): void {
  const inverse = f32x4.splat(scale == 0 ? 0 : <f32>1 / scale);
  v128.store(bytes, v128.or(codes16(values, inverse), i16x8.shl(codes16(values + 64, inverse), 4)));
}

// @ts-ignore: decorator
@inline function codes16(values: usize, inverse: v128): v128 {
  const a = codesOf(f32x4.mul(inverse, v128.load(values)));
  const b = codesOf(f32x4.mul(inverse, v128.load(values, 16)));
  const c = codesOf(f32x4.mul(inverse, v128.load(values, 32)));
  const d = codesOf(f32x4.mul(inverse, v128.load(values, 48)));
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}

/** Values of `blocks` blocks. */
export function decodeIq4Nl(bytes: usize, values: usize, blocks: i32): void {
  for (const end = bytes + <usize>blocks * NL; bytes < end; bytes += NL, values += 128) {
    unpack(bytes + 2, fromHalf(load<u16>(bytes)), values);
  }
}

/** Values of `blocks` super-blocks. */
export function decodeIq4Xs(bytes: usize, values: usize, blocks: i32): void {
  for (const end = bytes + <usize>blocks * XS; bytes < end; bytes += XS, values += SUPER) {
    const d = fromHalf(load<u16>(bytes));
    const high = <u32>load<u16>(bytes, 2);
    const low = load<u32>(bytes, 4);
    for (let group: usize = 0; group < 8; group++) {
      const code = ((low >> <u32>(group << 2)) & 15) | (((high >> <u32>(group << 1)) & 3) << 4);
      unpack(bytes + (group << 4) + 8, d * <f32>(<i32>code - 32), values + (group << 7));
    }
  }
}

// @ts-ignore: decorator
@inline function unpack(bytes: usize, scale: f32, values: usize): void {
  const book = v128.load(BOOK);
  const both = v128.load(bytes);
  signedScaled(i8x16.swizzle(book, lowNibbles(both)), f32x4.splat(scale), values);
  signedScaled(i8x16.swizzle(book, highNibbles(both)), f32x4.splat(scale), values + 64);
}
