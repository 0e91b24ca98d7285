// Q4_0 of ggml: 32 values in 18 bytes. The plain twin, with the format, is legacy.ts in @qlora/ggml-blocks.
import { fromHalf, toHalf } from './half';
import { weigh } from './k-affine';
import { nearestIn } from './nearest';
import { FITS, PRODUCTS, ROW, VALUES, WEIGHTS } from './places';
import { fitSymmetric, INVERSE, SCALE } from './symmetric';
import { transpose } from './transpose';
import { highNibbles, lowNibbles, signedScaled } from './widen';

const BLOCK: usize = 18;

/** Bytes of `blocks` blocks. */
export function encodeQ40(values: usize, bytes: usize, blocks: i32): void {
  const magnitude = i32x4.splat(0x7fffffff);
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += BLOCK, values += 128) {
    let most = i32x4.splat(0);
    for (let i: usize = 0; i < 128; i += 16) most = i32x4.max_u(most, v128.and(v128.load(values + i), magnitude));
    most = i32x4.max_u(most, i32x4.shuffle(most, most, 2, 3, 0, 1));
    most = i32x4.max_u(most, i32x4.shuffle(most, most, 1, 0, 3, 2));
    // The first of the largest magnitudes decides on the sign; without one it is that of +0.
    const zeros = !v128.any_true(most);
    let at = values;
    while (!v128.any_true(i32x4.eq(v128.and(v128.load(at), magnitude), most))) at += 16;
    at += <usize>ctz(i32x4.bitmask(i32x4.eq(v128.and(v128.load(at), magnitude), most))) << 2;
    const scale = zeros ? <f32>-0.0 : load<f32>(at) / <f32>-8;
    const inverse: f32 = scale == 0 ? 0 : <f32>1 / scale;
    store<u16>(bytes, toHalf(scale));
    // Magnitudes below 2^-125: all products are NaN or infinite, and their codes 0.
    if (abs(inverse) == Infinity) {
      memory.fill(bytes + 2, 0, 16);
      continue;
    }
    const factor = f32x4.splat(inverse);
    const first = codesOf(values, factor);
    v128.store(bytes, v128.or(first, i16x8.shl(codesOf(values + 64, factor), 4)), 2);
  }
}

/** Sixteen codes: the sums are positive, so that their whole part is what casting leaves. */
// @ts-ignore: decorator
@inline function codesOf(values: usize, factor: v128): v128 {
  return i8x16.narrow_i16x8_u(
    i16x8.narrow_i32x4_s(wholeOf(v128.load(values), factor), wholeOf(v128.load(values, 16), factor)),
    i16x8.narrow_i32x4_s(wholeOf(v128.load(values, 32), factor), wholeOf(v128.load(values, 48), factor)),
  );
}

// @ts-ignore: decorator
@inline function wholeOf(values: v128, factor: v128): v128 {
  const whole = f32x4.trunc(f32x4.add(f32x4.mul(values, factor), f32x4.splat(8.5)));
  // A sum with 2^23 has the integer in its lower bits.
  const bits = f32x4.add(f32x4.pmin(whole, f32x4.splat(15)), f32x4.splat(8388608));
  return v128.and(bits, i32x4.splat(15));
}

/**
 * Bytes of `blocks` blocks of one row, whose mean square is `variance`. `importance` lies as the values do. Reads and writes
 * up to three blocks more.
 */
export function encodeWeightedQ40(values: usize, importance: usize, bytes: usize, blocks: i32, variance: f32): void {
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += 4 * BLOCK, values += 512, importance += 512) {
    weigh(values, importance, 128, variance, ROW);
    transpose(values, 32, VALUES);
    transpose(ROW, 32, WEIGHTS);
    for (let i: usize = 0; i < 512; i += 16) {
      v128.store(PRODUCTS + i, f32x4.mul(v128.load(WEIGHTS + i), v128.load(VALUES + i)));
    }
    fitSymmetric(VALUES, WEIGHTS, PRODUCTS, 32, 8, FITS);
    for (let block: usize = 0; block < 4; block++) {
      const out = bytes + block * BLOCK;
      const inverse = load<f32>(FITS + (block << 2), INVERSE);
      store<u16>(out, toHalf(load<f32>(FITS + (block << 2), SCALE)));
      // The codes of a block of zeros are 0, not 8.
      const base = i8x16.splat(inverse == 0 ? 0 : 8);
      const factor = f32x4.splat(inverse);
      const at = values + (block << 7);
      const first = i8x16.add(signedCodes(at, factor), base);
      v128.store(out, v128.or(first, i16x8.shl(i8x16.add(signedCodes(at + 64, factor), base), 4)), 2);
    }
  }
}

// @ts-ignore: decorator
@inline function signedCodes(values: usize, factor: v128): v128 {
  const a = nearestIn(f32x4.mul(v128.load(values), factor), -8, 7);
  const b = nearestIn(f32x4.mul(v128.load(values, 16), factor), -8, 7);
  const c = nearestIn(f32x4.mul(v128.load(values, 32), factor), -8, 7);
  const d = nearestIn(f32x4.mul(v128.load(values, 48), factor), -8, 7);
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}

/** Values of `blocks` blocks. */
export function decodeQ40(bytes: usize, values: usize, blocks: i32): void {
  const eight = i8x16.splat(8);
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += BLOCK, values += 128) {
    const scale = f32x4.splat(fromHalf(load<u16>(bytes)));
    const both = v128.load(bytes, 2);
    signedScaled(i8x16.sub(lowNibbles(both), eight), scale, values);
    signedScaled(i8x16.sub(highNibbles(both), eight), scale, values + 64);
  }
}
