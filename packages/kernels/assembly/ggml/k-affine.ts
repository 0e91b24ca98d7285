// What Q4_K and Q5_K share: a super-block of 256 values in 8 groups of 32. The plain twin, with the format, is k-affine.ts in
// @qlora/ggml-blocks.
import { BASE, fitAffine, INVERSE, MINIMUM, SCALE } from './affine';
import { fromHalf, toHalf } from './half';
import { nearest, nearestIn } from './nearest';
import { CODES, FITS, GROUPS, MINIMUM_CODES, ROW, SCALE_CODES, SUMS, VALUES, WEIGHTS } from './places';
import { fitPositive } from './positive';
import { transpose } from './transpose';

/** Bytes of the values of a super-block. */
// @ts-ignore: decorator
@inline export const SUPER: usize = 1024;

/** Writes d, dmin and the 12 bytes of the groups, and fills {@link CODES}. */
export function fitSuperBlock(
  values: usize, importance: usize, bytes: usize, top: i32, from: f32, by: f32, steps: i32,
): void {
  for (let half: usize = 0; half < 1024; half += 512) transpose(values + half, 32, VALUES + half);
  if (importance) weighByImportance(values, importance);
  else weighByLevel();
  for (let half: usize = 0; half < 2; half++) {
    fitAffine(VALUES + (half << 9), WEIGHTS + (half << 9), 32, top, from, by, steps, FITS + (half << 4));
  }
  if (importance) {
    for (let i: usize = 0; i < 2; i++) {
      const number = fitPositive(63, FITS + i * MINIMUM, i ? MINIMUM_CODES : SCALE_CODES, SUMS, 8);
      store<u16>(bytes + (i << 1), toHalf(number));
    }
    if (top > 15) limitCodes();
  } else {
    const scale = largest(FITS + SCALE);
    const minimum = largest(FITS + MINIMUM);
    putCodes(FITS + SCALE, scale > 0 ? <f32>63 / scale : 0, SCALE_CODES);
    putCodes(FITS + MINIMUM, minimum > 0 ? <f32>63 / minimum : 0, MINIMUM_CODES);
    limitCodes();
    store<u16>(bytes, toHalf(scale / <f32>63));
    store<u16>(bytes, toHalf(minimum / <f32>63), 2);
  }
  for (let i: usize = 0; i < 4; i++) {
    const scale = load<u8>(SCALE_CODES + i, 4);
    const minimum = load<u8>(MINIMUM_CODES + i, 4);
    store<u8>(bytes + i, load<u8>(SCALE_CODES + i) | ((scale >> 4) << 6), 4);
    store<u8>(bytes + i, load<u8>(MINIMUM_CODES + i) | ((minimum >> 4) << 6), 8);
    store<u8>(bytes + i, (scale & 15) | ((minimum & 15) << 4), 12);
  }
  roundCodes(values, bytes, top);
}

/** Fills {@link GROUPS}. */
export function readGroups(bytes: usize): void {
  const d = f32x4.splat(fromHalf(load<u16>(bytes)));
  const dmin = f32x4.splat(fromHalf(load<u16>(bytes, 2)));
  const first = load<u32>(bytes, 4);
  const second = load<u32>(bytes, 8);
  const third = load<u32>(bytes, 12);
  putFloats(GROUPS, first & 0x3f3f3f3f, d);
  putFloats(GROUPS + 16, (third & 0x0f0f0f0f) | ((first >> 2) & 0x30303030), d);
  putFloats(GROUPS + 32, second & 0x3f3f3f3f, dmin);
  putFloats(GROUPS + 48, ((third >> 4) & 0x0f0f0f0f) | ((second >> 2) & 0x30303030), dmin);
}

/** Four bytes times `scale`, as f32. */
// @ts-ignore: decorator
@inline function putFloats(to: usize, bytes: u32, scale: v128): void {
  const wide = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(i32x4.splat(bytes)));
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(wide), scale));
}

/** The sum of the squares of `count` values, in their order. */
export function sumOfSquares(values: usize, count: i32): f32 {
  let sum: f32 = 0;
  for (const end = values + (<usize>count << 2); values < end; values += 4) {
    const value = load<f32>(values);
    sum += value * value;
  }
  return sum;
}

/** The importance of `count` values (a multiple of 4) times their root mean square together with `variance`. */
export function weigh(values: usize, importance: usize, count: i32, variance: f32, weights: usize): void {
  const variances = f32x4.splat(variance);
  for (const end = values + (<usize>count << 2); values < end; values += 16, importance += 16, weights += 16) {
    const value = v128.load(values);
    const deviation = f32x4.sqrt(f32x4.add(variances, f32x4.mul(value, value)));
    v128.store(weights, f32x4.mul(v128.load(importance), deviation));
  }
}

function weighByImportance(values: usize, importance: usize): void {
  weigh(values, importance, 256, (<f32>2 * sumOfSquares(values, 256)) / <f32>256, ROW);
  for (let half: usize = 0; half < 2; half++) {
    transpose(ROW + (half << 9), 32, WEIGHTS + (half << 9));
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < 512; i += 16) sum = f32x4.add(sum, v128.load(WEIGHTS + (half << 9) + i));
    v128.store(SUMS + (half << 4), sum);
  }
}

/** Without importance a value's weight is its magnitude and the root mean square of its group. */
function weighByLevel(): void {
  for (let half: usize = 0; half < 1024; half += 512) {
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < 512; i += 16) {
      const value = v128.load(VALUES + half + i);
      sum = f32x4.add(sum, f32x4.mul(value, value));
    }
    const level = f32x4.sqrt(f32x4.div(sum, f32x4.splat(32)));
    for (let i: usize = 0; i < 512; i += 16) {
      v128.store(WEIGHTS + half + i, f32x4.add(level, f32x4.abs(v128.load(VALUES + half + i))));
    }
  }
}

function largest(numbers: usize): f32 {
  let most: f32 = 0;
  for (const end = numbers + 32; numbers < end; numbers += 4) {
    const number = load<f32>(numbers);
    if (number > most) most = number;
  }
  return most;
}

function putCodes(numbers: usize, inverse: f32, codes: usize): void {
  for (let i: usize = 0; i < 8; i++) store<u8>(codes + i, nearest(inverse * load<f32>(numbers + (i << 2))));
}

function limitCodes(): void {
  for (let i: usize = 0; i < 8; i++) {
    store<u8>(SCALE_CODES + i, min(63, load<u8>(SCALE_CODES + i)));
    store<u8>(MINIMUM_CODES + i, min(63, load<u8>(MINIMUM_CODES + i)));
  }
}

/** Codes for what the scales, as they are written, stand for; a group whose scale is 0 keeps those of the fit. */
function roundCodes(values: usize, bytes: usize, top: i32): void {
  readGroups(bytes);
  for (let group: usize = 0; group < 8; group++) {
    const scale = load<f32>(GROUPS + (group << 2));
    const divisor = f32x4.splat(scale);
    const shift = v128.load32_splat(GROUPS + (group << 2), 32);
    const inverse = v128.load32_splat(FITS + (group << 2), INVERSE);
    const base = v128.load32_splat(FITS + (group << 2), BASE);
    for (let i: usize = group << 7, end = i + 128; i < end; i += 64) {
      let a = v128.load(values + i);
      let b = v128.load(values + i, 16);
      let c = v128.load(values + i, 32);
      let e = v128.load(values + i, 48);
      if (scale == 0) {
        a = f32x4.mul(inverse, f32x4.sub(a, base));
        b = f32x4.mul(inverse, f32x4.sub(b, base));
        c = f32x4.mul(inverse, f32x4.sub(c, base));
        e = f32x4.mul(inverse, f32x4.sub(e, base));
      } else {
        a = f32x4.div(f32x4.add(a, shift), divisor);
        b = f32x4.div(f32x4.add(b, shift), divisor);
        c = f32x4.div(f32x4.add(c, shift), divisor);
        e = f32x4.div(f32x4.add(e, shift), divisor);
      }
      const first = i16x8.narrow_i32x4_s(nearestIn(a, 0, top), nearestIn(b, 0, top));
      const second = i16x8.narrow_i32x4_s(nearestIn(c, 0, top), nearestIn(e, 0, top));
      v128.store(CODES + (i >> 2), i8x16.narrow_i16x8_u(first, second));
    }
  }
}
