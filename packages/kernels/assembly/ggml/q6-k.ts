// Q6_K of ggml: 256 values in 210 bytes, 16 groups of 16. The plain twin, with the format, is q6-k.ts in @qlora/ggml-blocks.
import { fromHalf, toHalf } from './half';
import { SUPER } from './k-affine';
import { nearest, nearestIn } from './nearest';
import { CODES, FITS, PRODUCTS, VALUES, WEIGHTS } from './places';
import { fitSymmetric, INVERSE, SCALE, ZERO } from './symmetric';
import { transpose } from './transpose';
import { highNibbles, lowNibbles, signedScaled } from './widen';

const BLOCK: usize = 210;
const HIGH: usize = 128;
const SCALES: usize = 192;
const D: usize = 208;

/** Bytes of `blocks` super-blocks. `importance` lies as the values do; 0 for none. */
export function encodeQ6K(values: usize, importance: usize, bytes: usize, blocks: i32): void {
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += BLOCK, values += SUPER) {
    for (let part: usize = 0; part < 4; part++) {
      transpose(values + (part << 8), 16, VALUES);
      if (importance) transpose(importance + (part << 8), 16, WEIGHTS);
      for (let i: usize = 0; i < 256; i += 16) {
        const value = v128.load(VALUES + i);
        const weight = importance ? v128.load(WEIGHTS + i) : f32x4.mul(value, value);
        v128.store(WEIGHTS + i, weight);
        v128.store(PRODUCTS + i, f32x4.mul(weight, value));
      }
      fitSymmetric(VALUES, WEIGHTS, PRODUCTS, 16, 32, FITS + (part << 4));
    }
    finish(values, bytes);
    if (importance) importance += SUPER;
  }
}

function finish(values: usize, bytes: usize): void {
  let peak: f32 = 0;
  let largest: f32 = 0;
  for (let group: usize = 0; group < 16; group++) {
    const scale = load<f32>(FITS + (group << 2), SCALE);
    if (abs(scale) > peak) {
      peak = abs(scale);
      largest = scale;
    }
  }
  if (peak < ZERO) {
    memory.fill(bytes, 0, BLOCK);
    return;
  }
  const inverse = <f32>-128 / largest;
  const half = toHalf(<f32>1 / inverse);
  store<u16>(bytes, half, D);
  const d = fromHalf(half);
  const offset = i8x16.splat(32);
  for (let group: usize = 0; group < 16; group++) {
    const code = <i8>min(127, nearest(inverse * load<f32>(FITS + (group << 2), SCALE)));
    store<i8>(bytes + group, code, SCALES);
    const scale = d * <f32>code;
    // A group whose scale is 0 keeps the codes of the fit; if that found none, they are 0 and not 32.
    const kept = load<f32>(FITS + (group << 2), INVERSE);
    const base = scale == 0 && kept == 0 ? i8x16.splat(0) : offset;
    const divisor = f32x4.splat(scale);
    const factor = f32x4.splat(kept);
    const at = values + (group << 6);
    let a = v128.load(at);
    let b = v128.load(at, 16);
    let c = v128.load(at, 32);
    let e = v128.load(at, 48);
    if (scale == 0) {
      a = f32x4.mul(factor, a);
      b = f32x4.mul(factor, b);
      c = f32x4.mul(factor, c);
      e = f32x4.mul(factor, e);
    } else {
      a = f32x4.div(a, divisor);
      b = f32x4.div(b, divisor);
      c = f32x4.div(c, divisor);
      e = f32x4.div(e, divisor);
    }
    const first = i16x8.narrow_i32x4_s(nearestIn(a, -32, 31), nearestIn(b, -32, 31));
    const second = i16x8.narrow_i32x4_s(nearestIn(c, -32, 31), nearestIn(e, -32, 31));
    v128.store(CODES + (group << 4), i8x16.add(i8x16.narrow_i16x8_s(first, second), base));
  }
  for (let part: usize = 0; part < 2; part++) {
    for (let i: usize = 0; i < 32; i += 16) {
      const codes = CODES + (part << 7) + i;
      const a = v128.load(codes);
      const b = v128.load(codes, 32);
      const c = v128.load(codes, 64);
      const e = v128.load(codes, 96);
      v128.store(bytes + (part << 6) + i, v128.or(lowNibbles(a), i16x8.shl(lowNibbles(c), 4)));
      v128.store(bytes + (part << 6) + i, v128.or(lowNibbles(b), i16x8.shl(lowNibbles(e), 4)), 32);
      const low = v128.or(highNibbles(a), i16x8.shl(highNibbles(b), 2));
      const high = v128.or(i16x8.shl(highNibbles(c), 4), i16x8.shl(highNibbles(e), 6));
      v128.store(bytes + (part << 5) + i, v128.or(low, high), HIGH);
    }
  }
}

/** Values of `blocks` super-blocks. */
export function decodeQ6K(bytes: usize, values: usize, blocks: i32): void {
  const two = i8x16.splat(3);
  for (const end = bytes + <usize>blocks * BLOCK; bytes < end; bytes += BLOCK, values += SUPER) {
    const d = fromHalf(load<u16>(bytes, D));
    for (let part: usize = 0; part < 2; part++) {
      for (let i: usize = 0; i < 32; i += 16) {
        const high = v128.load(bytes + (part << 5) + i, HIGH);
        const a = v128.load(bytes + (part << 6) + i);
        const b = v128.load(bytes + (part << 6) + i, 32);
        const scales = bytes + (part << 3) + (i >> 4);
        const out = values + (part << 9) + (i << 2);
        put(v128.or(lowNibbles(a), i16x8.shl(v128.and(high, two), 4)), d, load<i8>(scales, SCALES), out);
        put(v128.or(lowNibbles(b), i16x8.shl(v128.and(i16x8.shr_u(high, 2), two), 4)), d, load<i8>(scales, SCALES + 2), out + 128);
        put(v128.or(highNibbles(a), i16x8.shl(v128.and(i16x8.shr_u(high, 4), two), 4)), d, load<i8>(scales, SCALES + 4), out + 256);
        put(v128.or(highNibbles(b), i16x8.shl(v128.and(i16x8.shr_u(high, 6), two), 4)), d, load<i8>(scales, SCALES + 6), out + 384);
      }
    }
  }
}

// @ts-ignore: decorator
@inline function put(codes: v128, d: f32, scale: i8, out: usize): void {
  signedScaled(i8x16.sub(codes, i8x16.splat(32)), f32x4.splat(d * <f32>scale), out);
}
