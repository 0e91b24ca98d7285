// Elementwise kernels: memory-bound but for those with e^x. `begin` and `end` are elements (rows in addBias); an element
// gets the same bytes whether it falls into a vector or into the rest at the end of a part, because the rest goes through
// the same vector operations, one lane at a time. `out` may be an operand.
import { madd } from '../simd';
import { exp4, finalize4 } from './math';

// @ts-ignore: decorator
@inline function put1(to: usize, value: v128): void {
  v128.store32_lane(to, value, 0);
}

/** out = a + scale · b; units: elements. With scale 1 a plain addition. */
export function add(a: usize, b: usize, scale: f32, out: usize, begin: i32, end: i32): void {
  const factor = f32x4.splat(scale);
  let i = <usize>begin << 2;
  const stop = <usize>end << 2;
  for (; i + 32 <= stop; i += 32) {
    v128.store(out + i, madd(v128.load(b + i), factor, v128.load(a + i)));
    v128.store(out + i, madd(v128.load(b + i, 16), factor, v128.load(a + i, 16)), 16);
  }
  for (; i < stop; i += 4) put1(out + i, madd(v128.load32_splat(b + i), factor, v128.load32_splat(a + i)));
}

/** target += scale · x; units: elements. */
export function addInto(target: usize, x: usize, scale: f32, begin: i32, end: i32): void {
  add(target, x, scale, target, begin, end);
}

/** out = factor · x; units: elements. */
export function scale(x: usize, factor: f32, out: usize, begin: i32, end: i32): void {
  const factors = f32x4.splat(factor);
  let i = <usize>begin << 2;
  const stop = <usize>end << 2;
  for (; i + 32 <= stop; i += 32) {
    v128.store(out + i, f32x4.mul(v128.load(x + i), factors));
    v128.store(out + i, f32x4.mul(v128.load(x + i, 16), factors), 16);
  }
  for (; i < stop; i += 4) store<f32>(out + i, load<f32>(x + i) * factor);
}

/** Sets every element to `value`; units: elements. */
export function fill(target: usize, value: f32, begin: i32, end: i32): void {
  const values = f32x4.splat(value);
  let i = <usize>begin << 2;
  const stop = <usize>end << 2;
  for (; i + 32 <= stop; i += 32) {
    v128.store(target + i, values);
    v128.store(target + i, values, 16);
  }
  for (; i < stop; i += 4) store<f32>(target + i, value);
}

/** Copies 4-byte elements; units: elements. */
export function copy(from: usize, to: usize, begin: i32, end: i32): void {
  const start = <usize>begin << 2;
  memory.copy(to + start, from + start, (<usize>end << 2) - start);
}

/** Each row of x [rows, columns] plus bias [columns]; units: rows. */
export function addBias(x: usize, bias: usize, out: usize, columns: i32, begin: i32, end: i32): void {
  const bytes = <usize>columns << 2;
  x += begin * bytes;
  out += begin * bytes;
  for (let row = begin; row < end; row++) {
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) v128.store(out + i, f32x4.add(v128.load(x + i), v128.load(bias + i)));
    for (; i < bytes; i += 4) store<f32>(out + i, load<f32>(x + i) + load<f32>(bias + i));
    x += bytes;
    out += bytes;
  }
}

/**
 * out = 0 with probability p, else x / (1 − p), 0 ≤ p < 1; units: elements. The mask is the finalizer of MurmurHash3 over
 * the element's index and the seed, below p · 2^32: bit for bit the mask of the reference backend.
 */
export function dropout(x: usize, p: f64, seed: i32, out: usize, begin: i32, end: i32): void {
  const factor = f32x4.splat(<f32>(1 / (1 - p)));
  // For integers, h < t is h ≤ ⌈t⌉ − 1, which fits 32 bits; t = 0 drops nothing.
  const threshold = Math.ceil(p * 4294967296);
  const any = i32x4.splat(threshold > 0 ? -1 : 0);
  const last = i32x4.splat(<i32><u32>(threshold > 0 ? threshold - 1 : 0));
  const seeds = i32x4.splat(seed);
  const step = i32x4.splat(<i32>0x9e3779b1 * 4);
  const lanes = i32x4(1, 2, 3, 4);
  let mixed = i32x4.mul(i32x4.add(i32x4.splat(begin), lanes), i32x4.splat(<i32>0x9e3779b1));
  let i = <usize>begin << 2;
  const stop = <usize>end << 2;
  for (; i + 16 <= stop; i += 16) {
    const dropped = v128.and(i32x4.le_u(finalize4(v128.xor(mixed, seeds)), last), any);
    v128.store(out + i, v128.andnot(f32x4.mul(v128.load(x + i), factor), dropped));
    mixed = i32x4.add(mixed, step);
  }
  const dropped = v128.and(i32x4.le_u(finalize4(v128.xor(mixed, seeds)), last), any);
  for (let mask = dropped; i < stop; i += 4) {
    put1(out + i, v128.andnot(f32x4.mul(v128.load32_splat(x + i), factor), mask));
    mask = i32x4.shuffle(mask, mask, 1, 2, 3, 0);
  }
}

/** g · σ(g) · u = g / (1 + e^−g) · u. Where e^−g overflows this is 0, off by less than 1e-36. */
// @ts-ignore: decorator
@inline function swiglu4(g: v128, u: v128): v128 {
  return f32x4.mul(f32x4.div(g, f32x4.add(f32x4.splat(1), exp4(f32x4.neg(g)))), u);
}

/** silu(gate) · up with silu(g) = g · σ(g) (Shazeer 2020); units: elements. */
export function swiglu(gate: usize, up: usize, out: usize, begin: i32, end: i32): void {
  let i = <usize>begin << 2;
  const stop = <usize>end << 2;
  for (; i + 16 <= stop; i += 16) v128.store(out + i, swiglu4(v128.load(gate + i), v128.load(up + i)));
  for (; i < stop; i += 4) put1(out + i, swiglu4(v128.load32_splat(gate + i), v128.load32_splat(up + i)));
}

/**
 * Both gradients; `single` stores one lane. silu′(g) = σ(g) · (1 + g · (1 − σ(g))), with 1 − σ(g) = e^−g · σ(g), which
 * is exact where the difference is not.
 */
// @ts-ignore: decorator
@inline function swigluBackward4(d: v128, g: v128, u: v128, dGate: usize, dUp: usize, single: bool): void {
  const one = f32x4.splat(1);
  // Below, both gradients are less than 1e-36; e^−g must stay finite.
  g = f32x4.pmax(g, f32x4.splat(-88));
  const e = exp4(f32x4.neg(g));
  const sigmoid = f32x4.div(one, f32x4.add(one, e));
  const rest = f32x4.mul(e, sigmoid);
  const slope = f32x4.mul(sigmoid, madd(g, rest, one));
  const first = f32x4.mul(f32x4.mul(d, u), slope);
  const second = f32x4.mul(d, f32x4.mul(g, sigmoid));
  if (single) {
    put1(dGate, first);
    put1(dUp, second);
  } else {
    v128.store(dGate, first);
    v128.store(dUp, second);
  }
}

/** Gradients of {@link swiglu} with respect to gate and up; units: elements. */
export function swigluBackward(
  dy: usize, gate: usize, up: usize, dGate: usize, dUp: usize, begin: i32, end: i32,
): void {
  let i = <usize>begin << 2;
  const stop = <usize>end << 2;
  for (; i + 16 <= stop; i += 16) {
    swigluBackward4(v128.load(dy + i), v128.load(gate + i), v128.load(up + i), dGate + i, dUp + i, false);
  }
  for (; i < stop; i += 4) {
    const d = v128.load32_splat(dy + i);
    swigluBackward4(d, v128.load32_splat(gate + i), v128.load32_splat(up + i), dGate + i, dUp + i, true);
  }
}

/** out = e^x; units: elements. For tests of {@link exp4}. */
export function exponential(x: usize, out: usize, begin: i32, end: i32): void {
  let i = <usize>begin << 2;
  const stop = <usize>end << 2;
  for (; i + 16 <= stop; i += 16) v128.store(out + i, exp4(v128.load(x + i)));
  for (; i < stop; i += 4) put1(out + i, exp4(v128.load32_splat(x + i)));
}
