// Cross entropy from logits, by rows of a vocabulary's width. A row is read twice (greatest, then sum); it fits the second
// cache where logits themselves do not.
import { exp4, log } from './math';

/** Target that is left out, as in PyTorch. */
// @ts-ignore: decorator
@inline const IGNORE_INDEX: i32 = -100;

/** Bytes of a run that is summed in f32: 128 values, in 4 partial sums; the runs' sums add up in f64. */
// @ts-ignore: decorator
@inline const RUN: usize = 512;

/** The greatest of a row; a NaN may be passed over (the sum that follows meets it again). */
// @ts-ignore: decorator
@inline function greatest(row: usize, bytes: usize): f32 {
  let m0 = f32x4.splat(-Infinity), m1 = m0, m2 = m0, m3 = m0;
  let i: usize = 0;
  for (; i + 64 <= bytes; i += 64) {
    m0 = f32x4.pmax(m0, v128.load(row + i));
    m1 = f32x4.pmax(m1, v128.load(row + i, 16));
    m2 = f32x4.pmax(m2, v128.load(row + i, 32));
    m3 = f32x4.pmax(m3, v128.load(row + i, 48));
  }
  for (; i < bytes; i += 4) m0 = f32x4.pmax(m0, v128.load32_splat(row + i));
  m0 = f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3));
  m0 = f32x4.pmax(m0, i32x4.shuffle(m0, m0, 2, 3, 0, 1));
  m0 = f32x4.pmax(m0, i32x4.shuffle(m0, m0, 1, 0, 3, 2));
  return f32x4.extract_lane(m0, 0);
}

/** Σ e^(x − max) over a row. */
// @ts-ignore: decorator
@inline function sumExp(row: usize, bytes: usize, max: f32): f64 {
  const shift = f32x4.splat(max);
  let total: f64 = 0;
  let i: usize = 0;
  while (i + 16 <= bytes) {
    const stop = min(bytes - 16, i + RUN - 16);
    let sum = f32x4.splat(0);
    for (; i <= stop; i += 16) sum = f32x4.add(sum, exp4(f32x4.sub(v128.load(row + i), shift)));
    const pairs = f64x2.add(
      f64x2.promote_low_f32x4(sum),
      f64x2.promote_low_f32x4(i32x4.shuffle(sum, sum, 2, 3, 2, 3)),
    );
    total += f64x2.extract_lane(pairs, 0) + f64x2.extract_lane(pairs, 1);
  }
  for (; i < bytes; i += 4) {
    total += <f64>f32x4.extract_lane(exp4(f32x4.sub(v128.load32_splat(row + i), shift)), 0);
  }
  return total;
}

/**
 * losses[r] = logSumExp(logits[r]) − logits[r, target], 0 where the target is −100; `logits` [rows, columns], `targets` i32
 * that the host has looked at. Units: rows.
 */
export function crossEntropy(
  logits: usize, targets: usize, losses: usize, logSumExp: usize, columns: i32, begin: i32, end: i32,
): void {
  const bytes = <usize>columns << 2;
  for (let r = begin; r < end; r++) {
    const row = logits + r * bytes;
    const max = greatest(row, bytes);
    const sum = <f64>max + log(sumExp(row, bytes, max));
    store<f32>(logSumExp + (r << 2), <f32>sum);
    const target = load<i32>(targets + (r << 2));
    const loss = target == IGNORE_INDEX ? 0 : sum - <f64>load<f32>(row + (<usize>target << 2));
    store<f32>(losses + (r << 2), <f32>loss);
  }
}

/** Overwrites logits with scale · (softmax(logits) − onehot(target)), zero in rows of target −100; units: rows. */
export function crossEntropyBackwardInto(
  logits: usize, targets: usize, logSumExp: usize, scale: f32, columns: i32, begin: i32, end: i32,
): void {
  const bytes = <usize>columns << 2;
  const factor = f32x4.splat(scale);
  for (let r = begin; r < end; r++) {
    const row = logits + r * bytes;
    const target = load<i32>(targets + (r << 2));
    if (target == IGNORE_INDEX) {
      memory.fill(row, 0, bytes);
      continue;
    }
    const shift = v128.load32_splat(logSumExp + (r << 2));
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      v128.store(row + i, f32x4.mul(factor, exp4(f32x4.sub(v128.load(row + i), shift))));
    }
    for (; i < bytes; i += 4) {
      const value = f32x4.mul(factor, exp4(f32x4.sub(v128.load32_splat(row + i), shift)));
      v128.store32_lane(row + i, value, 0);
    }
    const at = row + (<usize>target << 2);
    store<f32>(at, load<f32>(at) - scale);
  }
}
