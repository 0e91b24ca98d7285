// Kernels that go by rows: normalization, look-up, sums over rows. A row is one unit where rows are independent. Where
// a result sums over rows, the columns are cut into strips and a unit is a strip: each output is summed in the order of
// the rows whatever the split.
//
// Sums go in f32 over short runs, whose sums add up in f64: nearly as fast as f32 alone, and as exact as its last rounding
// but for a few ulp.
import { madd, sumLanes } from '../simd';
import { scratch } from './scratch';

/** Bytes of a run of a row that is summed in f32: 256 values, in 16 partial sums. */
// @ts-ignore: decorator
@inline const RUN: usize = 1024;

/** Σ a·b over `bytes` of two rows. */
// @ts-ignore: decorator
@inline function dot(a: usize, b: usize, bytes: usize): f64 {
  let total: f64 = 0;
  let i: usize = 0;
  while (i + 64 <= bytes) {
    const stop = min(bytes - 64, i + RUN - 64);
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    for (; i <= stop; i += 64) {
      s0 = madd(v128.load(a + i), v128.load(b + i), s0);
      s1 = madd(v128.load(a + i, 16), v128.load(b + i, 16), s1);
      s2 = madd(v128.load(a + i, 32), v128.load(b + i, 32), s2);
      s3 = madd(v128.load(a + i, 48), v128.load(b + i, 48), s3);
    }
    total += <f64>sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  }
  for (; i < bytes; i += 4) total += <f64>load<f32>(a + i) * <f64>load<f32>(b + i);
  return total;
}

/** Σ a·b·c over `bytes` of three rows. */
// @ts-ignore: decorator
@inline function dot3(a: usize, b: usize, c: usize, bytes: usize): f64 {
  let total: f64 = 0;
  let i: usize = 0;
  while (i + 32 <= bytes) {
    const stop = min(bytes - 32, i + RUN - 32);
    let s0 = f32x4.splat(0), s1 = s0;
    for (; i <= stop; i += 32) {
      s0 = madd(f32x4.mul(v128.load(a + i), v128.load(b + i)), v128.load(c + i), s0);
      s1 = madd(f32x4.mul(v128.load(a + i, 16), v128.load(b + i, 16)), v128.load(c + i, 16), s1);
    }
    total += <f64>sumLanes(f32x4.add(s0, s1));
  }
  for (; i < bytes; i += 4) total += <f64>load<f32>(a + i) * <f64>load<f32>(b + i) * <f64>load<f32>(c + i);
  return total;
}

/**
 * y = x · inverse · weight with inverse = 1 / √(mean(x²) + epsilon) (Zhang and Sennrich 2019), for rows of `width`;
 * units: rows. Keeps `inverse` [rows].
 */
export function rmsNorm(
  x: usize, weight: usize, epsilon: f64, y: usize, inverse: usize, width: i32, begin: i32, end: i32,
): void {
  const bytes = <usize>width << 2;
  for (let row = begin; row < end; row++) {
    const from = x + row * bytes;
    const to = y + row * bytes;
    const factor = <f32>(1 / Math.sqrt(dot(from, from, bytes) / <f64>width + epsilon));
    store<f32>(inverse + (row << 2), factor);
    const factors = f32x4.splat(factor);
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      v128.store(to + i, f32x4.mul(f32x4.mul(v128.load(from + i), factors), v128.load(weight + i)));
    }
    for (; i < bytes; i += 4) store<f32>(to + i, load<f32>(from + i) * factor * load<f32>(weight + i));
  }
}

/** dx = inverse · (dy·w − x · inverse² · mean(dy·w·x)), the gradient of {@link rmsNorm}; units: rows. */
export function rmsNormBackward(
  dy: usize, x: usize, weight: usize, inverse: usize, dx: usize, width: i32, begin: i32, end: i32,
): void {
  const bytes = <usize>width << 2;
  for (let row = begin; row < end; row++) {
    const d = dy + row * bytes;
    const from = x + row * bytes;
    const to = dx + row * bytes;
    const factor = load<f32>(inverse + (row << 2));
    const square = <f64>factor * <f64>factor;
    const mean = <f32>(-(dot3(d, weight, from, bytes) / <f64>width) * square);
    const factors = f32x4.splat(factor);
    const means = f32x4.splat(mean);
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      const gradient = f32x4.mul(v128.load(d + i), v128.load(weight + i));
      v128.store(to + i, f32x4.mul(factors, madd(v128.load(from + i), means, gradient)));
    }
    for (; i < bytes; i += 4) {
      store<f32>(to + i, factor * (load<f32>(d + i) * load<f32>(weight + i) + load<f32>(from + i) * mean));
    }
  }
}

// ── sums over rows ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Columns of a strip. */
// @ts-ignore: decorator
@inline const STRIP: i32 = 32;
/** Strips that are summed side by side, so that memory is read in order; their f64 sums lie in scratch. */
// @ts-ignore: decorator
@inline const PANEL_STRIPS: i32 = 256;
/** Rows that are summed in f32. */
// @ts-ignore: decorator
@inline const RUN_ROWS: i32 = 32;

/** Units of the kernels that sum over rows: strips of 32 columns. */
export function columnStrips(columns: i32): i32 {
  return (columns + STRIP - 1) / STRIP;
}

/** Adds four f32 to four f64. */
// @ts-ignore: decorator
@inline function addWide(sums: usize, values: v128): void {
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(values)));
  const high = i32x4.shuffle(values, values, 2, 3, 2, 3);
  v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.promote_low_f32x4(high)), 16);
}

/** One term of the sum: x, or dy·x·inverse. */
// @ts-ignore: decorator
@inline function term(x: usize, dy: usize, inverse: usize, sum: v128): v128 {
  if (!dy) return f32x4.add(sum, v128.load(x));
  return madd(f32x4.mul(v128.load(dy), v128.load32_splat(inverse)), v128.load(x), sum);
}

/** Column sums of x, or of dy·x·inverse if `dy` is not 0, in strips `begin` to `end`. */
// @ts-ignore: decorator
@inline function sumStrips(
  x: usize, dy: usize, inverse: usize, out: usize, rows: i32, columns: i32, begin: i32, end: i32,
): void {
  const stride = <usize>columns << 2;
  const sums = scratch();
  for (let panel = begin; panel < end; panel += PANEL_STRIPS) {
    const first = panel * STRIP;
    const count = min(min(end - panel, PANEL_STRIPS) * STRIP, columns - first);
    memory.fill(sums, 0, <usize>count << 3);
    for (let row = 0; row < rows; row += RUN_ROWS) {
      const run = min(RUN_ROWS, rows - row);
      const offset = row * stride + (<usize>first << 2);
      const factors = inverse + (row << 2);
      let c = 0;
      for (; c + 16 <= count; c += 16) {
        let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
        let from = x + offset + (c << 2);
        let d = dy ? dy + offset + (c << 2) : 0;
        for (let r = 0; r < run; r++) {
          const factor = factors + (r << 2);
          s0 = term(from, d, factor, s0);
          s1 = term(from + 16, dy ? d + 16 : 0, factor, s1);
          s2 = term(from + 32, dy ? d + 32 : 0, factor, s2);
          s3 = term(from + 48, dy ? d + 48 : 0, factor, s3);
          from += stride;
          d += dy ? stride : 0;
        }
        const to = sums + (c << 3);
        addWide(to, s0);
        addWide(to + 32, s1);
        addWide(to + 64, s2);
        addWide(to + 96, s3);
      }
      for (; c < count; c++) {
        let sum: f64 = 0;
        let at = offset + (c << 2);
        for (let r = 0; r < run; r++) {
          const value = <f64>load<f32>(x + at);
          sum += dy ? <f64>load<f32>(dy + at) * value * <f64>load<f32>(factors + (r << 2)) : value;
          at += stride;
        }
        const to = sums + (c << 3);
        store<f64>(to, load<f64>(to) + sum);
      }
    }
    for (let c = 0; c < count; c++) store<f32>(out + (<usize>(first + c) << 2), <f32>load<f64>(sums + (c << 3)));
  }
}

/** out[c] = Σ over rows of x[·, c]; units: strips of 32 columns. */
export function sumRows(x: usize, out: usize, rows: i32, columns: i32, begin: i32, end: i32): void {
  sumStrips(x, 0, 0, out, rows, columns, begin, end);
}

/** dWeight = Σ over rows of dy · x · inverse, for {@link rmsNorm}; units: strips of 32 columns. */
export function rmsNormWeightBackward(
  dy: usize, x: usize, inverse: usize, dWeight: usize, rows: i32, width: i32, begin: i32, end: i32,
): void {
  sumStrips(x, dy, inverse, dWeight, rows, width, begin, end);
}

// ── look-up ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Rows of `table` by `ids` (i32, each below the table's rows: the host has looked); units: rows of `out`. */
export function embedding(table: usize, ids: usize, out: usize, width: i32, begin: i32, end: i32): void {
  const bytes = <usize>width << 2;
  for (let row = begin; row < end; row++) {
    memory.copy(out + row * bytes, table + <usize>load<i32>(ids + (row << 2)) * bytes, bytes);
  }
}

/**
 * dTable[id] += dy of every row with that id, in the order of the rows; units: strips of 32 columns. The host has filled
 * `dTable` with zeros.
 */
export function embeddingBackward(
  dy: usize, ids: usize, dTable: usize, rows: i32, width: i32, begin: i32, end: i32,
): void {
  const stride = <usize>width << 2;
  const first = <usize>begin * STRIP << 2;
  const stop = <usize>min(end * STRIP, width) << 2;
  for (let row = 0; row < rows; row++) {
    const from = dy + row * stride;
    const to = dTable + <usize>load<i32>(ids + (row << 2)) * stride;
    let i = first;
    for (; i + 16 <= stop; i += 16) v128.store(to + i, f32x4.add(v128.load(to + i), v128.load(from + i)));
    for (; i < stop; i += 4) store<f32>(to + i, load<f32>(to + i) + load<f32>(from + i));
  }
}
