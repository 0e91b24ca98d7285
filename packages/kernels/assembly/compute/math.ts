// The functions that softmax, SwiGLU, cross entropy and dropout are made of. No tables: the module has no data segment.
import { madd } from '../simd';

/**
 * e^x in four lanes, for −87.33 ≤ x ≤ 88.37 within 1.2 ulp, 0.9 where the multiply-add is fused. Below, where results are
 * no normal numbers, they end in 0 at −87.69; above, they are ∞, a little before they must be (88.73). NaN gives NaN.
 *
 * x = n·ln 2 + r with |r| ≤ ln 2 / 2; ln 2 is cut in two parts as in Cephes (Moshier), the first of which has so few bits
 * that n times it is exact even where a multiply-add is not fused. e^r is 1 + r + r²·q(r), with q the polynomial of degree
 * 4 that makes the greatest relative error least (Remez): 3e-9.
 */
// @ts-ignore: decorator
@inline export function exp4(x: v128): v128 {
  // In this range n is −127 (which makes 2^n 0 below) to 128 (∞). These two let NaN pass, standing first.
  x = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-88)), f32x4.splat(88.5));
  // Adding 1.5·2^23 + 127 rounds to an integer: n + 127, the exponent of 2^n, in the lowest bits.
  const magic = f32x4.splat(12583039);
  const shifted = madd(x, f32x4.splat(1.44269504), magic);
  const n = f32x4.sub(shifted, magic);
  let r = madd(n, f32x4.splat(-0.693359375), x);
  r = madd(n, f32x4.splat(2.12194440e-4), r);
  let q = madd(f32x4.splat(0.0013814535923302174), r, f32x4.splat(0.00836874544620514));
  q = madd(q, r, f32x4.splat(0.04166838899254799));
  q = madd(q, r, f32x4.splat(0.1666652113199234));
  q = madd(q, r, f32x4.splat(0.4999999403953552));
  const one = f32x4.splat(1);
  q = madd(madd(q, r, one), r, one);
  return f32x4.mul(q, i32x4.shl(shifted, 23));
}

/**
 * ln x of a positive normal number, within 2 ulp of f64 (or 2e-16): x = m·2^k with m in [√½, √2), and
 * ln m = 2·artanh(s) = 2·(s + s³/3 + s⁵/5 + …) with s = (m − 1) / (m + 1), |s| ≤ 0.172.
 */
export function log(x: f64): f64 {
  if (!(x > 0)) return x == 0 ? -Infinity : NaN;
  if (x == Infinity) return x;
  const bits = reinterpret<u64>(x);
  let k = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    k++;
  }
  const s = (m - 1) / (m + 1);
  const z = s * s;
  let series: f64 = 0;
  for (let i = 23; i > 1; i -= 2) series = z * (series + 1 / <f64>i);
  // The greater part last, for the rounding; k·ln 2 in two parts as fdlibm has them (Sun Microsystems).
  const tail = 2 * s * series + <f64>k * 1.90821492927058770002e-10;
  return <f64>k * 6.93147180369123816490e-1 + (2 * s + tail);
}

/** The 32-bit finalizer of MurmurHash3 (Appleby, public domain) in four lanes. */
// @ts-ignore: decorator
@inline export function finalize4(h: v128): v128 {
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 16)), i32x4.splat(<i32>0x85ebca6b));
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 13)), i32x4.splat(<i32>0xc2b2ae35));
  return v128.xor(h, i32x4.shr_u(h, 16));
}
