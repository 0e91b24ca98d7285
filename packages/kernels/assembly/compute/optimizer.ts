// The optimizer's step, and the sum of squares that clipping needs. Both in f64, two lanes at a time, in the order of
// operations of the reference backend, so that a step gives its very bytes: a run's weights do not depend on which
// backend trained them. Parameters are few (adapters), so the price is small.

/** Two of four f32, as f64. */
// @ts-ignore: decorator
@inline function high(v: v128): v128 {
  return f64x2.promote_low_f32x4(i32x4.shuffle(v, v, 2, 3, 2, 3));
}


/**
 * One AdamW step (Loshchilov and Hutter 2019) in place on parameter, m and v; decay first, epsilon outside the corrected
 * root, as in PyTorch. The host gives correction1 = 1 − beta1^step and correction2 = √(1 − beta2^step). Units: elements.
 */
export function adamw(
  parameter: usize, gradient: usize, m: usize, v: usize,
  learningRate: f64, beta1: f64, beta2: f64, epsilon: f64, weightDecay: f64,
  correction1: f64, correction2: f64, gradientScale: f64, begin: i32, end: i32,
): void {
  const rate = f64x2.splat(learningRate);
  const b1 = f64x2.splat(beta1);
  const b2 = f64x2.splat(beta2);
  const c1 = f64x2.splat(1 - beta1);
  const c2 = f64x2.splat(1 - beta2);
  const eps = f64x2.splat(epsilon);
  const decay = f64x2.splat(1 - learningRate * weightDecay);
  const k1 = f64x2.splat(correction1);
  const k2 = f64x2.splat(correction2);
  const factor = f64x2.splat(gradientScale);
  let i = <usize>begin << 2;
  const stop = <usize>end << 2;
  while (i < stop) {
    const whole = i + 8 <= stop;
    const p = f64x2.promote_low_f32x4(whole ? v128.load64_zero(parameter + i) : v128.load32_zero(parameter + i));
    const g0 = f64x2.promote_low_f32x4(whole ? v128.load64_zero(gradient + i) : v128.load32_zero(gradient + i));
    const m0 = f64x2.promote_low_f32x4(whole ? v128.load64_zero(m + i) : v128.load32_zero(m + i));
    const v0 = f64x2.promote_low_f32x4(whole ? v128.load64_zero(v + i) : v128.load32_zero(v + i));
    const g = f64x2.mul(g0, factor);
    const first = f64x2.add(f64x2.mul(b1, m0), f64x2.mul(c1, g));
    const second = f64x2.add(f64x2.mul(b2, v0), f64x2.mul(f64x2.mul(c2, g), g));
    const denominator = f64x2.add(f64x2.div(f64x2.sqrt(second), k2), eps);
    const change = f64x2.div(f64x2.mul(rate, first), f64x2.mul(k1, denominator));
    const next = f64x2.sub(f64x2.mul(p, decay), change);
    if (whole) {
      v128.store64_lane(m + i, f32x4.demote_f64x2_zero(first), 0);
      v128.store64_lane(v + i, f32x4.demote_f64x2_zero(second), 0);
      v128.store64_lane(parameter + i, f32x4.demote_f64x2_zero(next), 0);
    } else {
      v128.store32_lane(m + i, f32x4.demote_f64x2_zero(first), 0);
      v128.store32_lane(v + i, f32x4.demote_f64x2_zero(second), 0);
      v128.store32_lane(parameter + i, f32x4.demote_f64x2_zero(next), 0);
    }
    i += 8;
  }
}

/** Elements of a chunk of {@link sumSquares}. */
// @ts-ignore: decorator
@inline const CHUNK: i32 = 4096;

/** Units of {@link sumSquares}. */
export function sumSquaresChunks(count: i32): i32 {
  return (count + CHUNK - 1) / CHUNK;
}

/** partials[c] = Σ x² over chunk c of 4096 elements, in f64; units: chunks. The host adds the partials in order. */
export function sumSquares(x: usize, count: i32, partials: usize, begin: i32, end: i32): void {
  for (let chunk = begin; chunk < end; chunk++) {
    let at = x + (<usize>chunk * CHUNK << 2);
    const stop = x + (<usize>min(count, (chunk + 1) * CHUNK) << 2);
    let s0 = f64x2.splat(0), s1 = s0;
    for (; at + 16 <= stop; at += 16) {
      const values = v128.load(at);
      const a = f64x2.promote_low_f32x4(values);
      const b = high(values);
      s0 = f64x2.add(s0, f64x2.mul(a, a));
      s1 = f64x2.add(s1, f64x2.mul(b, b));
    }
    s0 = f64x2.add(s0, s1);
    let sum = f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
    for (; at < stop; at += 4) sum += <f64>load<f32>(at) * <f64>load<f32>(at);
    store<f64>(partials + (<usize>chunk << 3), sum);
  }
}
