// The two inner kernels of every product. Both compute a block of out = alpha · A·B (or add to it) and differ in how
// they hold the operands:
//
// - dot form: rows of A and rows of B lie along the inner axis; four partial sums an output, added up at the end. The
//   fastest for long inner axes (3 × 3 outputs at a time).
// - outer form: B lies along the columns; a column of A times a row of B at a time. For short inner axes, where adding
//   up the partial sums would cost more than the products.
//
// An output's sum has one order in each form, whatever the size of the tile that computes it, so results do not depend on
// how work is split.
import { madd, sumLanes, sums4 } from '../simd';

// @ts-ignore: decorator
@inline function put(out: usize, value: f32, alpha: f32, add: bool): void {
  const scaled = value * alpha;
  store<f32>(out, add ? load<f32>(out) + scaled : scaled);
}

/** Three outputs side by side out of the first lanes of a vector. */
// @ts-ignore: decorator
@inline function put3(out: usize, sums: v128, alpha: f32, add: bool): void {
  put(out, f32x4.extract_lane(sums, 0), alpha, add);
  put(out + 4, f32x4.extract_lane(sums, 1), alpha, add);
  put(out + 8, f32x4.extract_lane(sums, 2), alpha, add);
}

// @ts-ignore: decorator
@inline function dot33(
  a: usize, aStride: usize, b: usize, bStride: usize, bytes: usize,
  out: usize, outStride: usize, alpha: f32, add: bool,
): void {
  const zero = f32x4.splat(0);
  let s00 = zero, s01 = zero, s02 = zero;
  let s10 = zero, s11 = zero, s12 = zero;
  let s20 = zero, s21 = zero, s22 = zero;
  const a1 = a + aStride, a2 = a1 + aStride;
  const b1 = b + bStride, b2 = b1 + bStride;
  for (let i: usize = 0; i < bytes; i += 16) {
    const x0 = v128.load(a + i);
    const x1 = v128.load(a1 + i);
    const x2 = v128.load(a2 + i);
    let y = v128.load(b + i);
    s00 = madd(x0, y, s00);
    s10 = madd(x1, y, s10);
    s20 = madd(x2, y, s20);
    y = v128.load(b1 + i);
    s01 = madd(x0, y, s01);
    s11 = madd(x1, y, s11);
    s21 = madd(x2, y, s21);
    y = v128.load(b2 + i);
    s02 = madd(x0, y, s02);
    s12 = madd(x1, y, s12);
    s22 = madd(x2, y, s22);
  }
  put3(out, sums4(s00, s01, s02, zero), alpha, add);
  put3(out + outStride, sums4(s10, s11, s12, zero), alpha, add);
  put3(out + 2 * outStride, sums4(s20, s21, s22, zero), alpha, add);
}

// @ts-ignore: decorator
@inline function dot13(
  a: usize, b: usize, bStride: usize, bytes: usize, out: usize, alpha: f32, add: bool,
): void {
  const zero = f32x4.splat(0);
  let s0 = zero, s1 = zero, s2 = zero;
  const b1 = b + bStride, b2 = b1 + bStride;
  for (let i: usize = 0; i < bytes; i += 16) {
    const x = v128.load(a + i);
    s0 = madd(x, v128.load(b + i), s0);
    s1 = madd(x, v128.load(b1 + i), s1);
    s2 = madd(x, v128.load(b2 + i), s2);
  }
  put3(out, sums4(s0, s1, s2, zero), alpha, add);
}

// @ts-ignore: decorator
@inline function dot23(
  a: usize, aStride: usize, b: usize, bStride: usize, bytes: usize,
  out: usize, outStride: usize, alpha: f32, add: bool,
): void {
  const zero = f32x4.splat(0);
  let s00 = zero, s01 = zero, s02 = zero, s10 = zero, s11 = zero, s12 = zero;
  const a1 = a + aStride;
  const b1 = b + bStride, b2 = b1 + bStride;
  for (let i: usize = 0; i < bytes; i += 16) {
    const x0 = v128.load(a + i);
    const x1 = v128.load(a1 + i);
    let y = v128.load(b + i);
    s00 = madd(x0, y, s00);
    s10 = madd(x1, y, s10);
    y = v128.load(b1 + i);
    s01 = madd(x0, y, s01);
    s11 = madd(x1, y, s11);
    y = v128.load(b2 + i);
    s02 = madd(x0, y, s02);
    s12 = madd(x1, y, s12);
  }
  put3(out, sums4(s00, s01, s02, zero), alpha, add);
  put3(out + outStride, sums4(s10, s11, s12, zero), alpha, add);
}

// @ts-ignore: decorator
@inline function dot42(
  a: usize, aStride: usize, b: usize, bStride: usize, bytes: usize,
  out: usize, outStride: usize, alpha: f32, add: bool,
): void {
  const zero = f32x4.splat(0);
  let s00 = zero, s01 = zero, s10 = zero, s11 = zero, s20 = zero, s21 = zero, s30 = zero, s31 = zero;
  const a1 = a + aStride, a2 = a1 + aStride, a3 = a2 + aStride;
  const b1 = b + bStride;
  for (let i: usize = 0; i < bytes; i += 16) {
    const y0 = v128.load(b + i);
    const y1 = v128.load(b1 + i);
    let x = v128.load(a + i);
    s00 = madd(x, y0, s00);
    s01 = madd(x, y1, s01);
    x = v128.load(a1 + i);
    s10 = madd(x, y0, s10);
    s11 = madd(x, y1, s11);
    x = v128.load(a2 + i);
    s20 = madd(x, y0, s20);
    s21 = madd(x, y1, s21);
    x = v128.load(a3 + i);
    s30 = madd(x, y0, s30);
    s31 = madd(x, y1, s31);
  }
  const first = sums4(s00, s01, s10, s11);
  put(out, f32x4.extract_lane(first, 0), alpha, add);
  put(out + 4, f32x4.extract_lane(first, 1), alpha, add);
  put(out + outStride, f32x4.extract_lane(first, 2), alpha, add);
  put(out + outStride + 4, f32x4.extract_lane(first, 3), alpha, add);
  out += 2 * outStride;
  const last = sums4(s20, s21, s30, s31);
  put(out, f32x4.extract_lane(last, 0), alpha, add);
  put(out + 4, f32x4.extract_lane(last, 1), alpha, add);
  put(out + outStride, f32x4.extract_lane(last, 2), alpha, add);
  put(out + outStride + 4, f32x4.extract_lane(last, 3), alpha, add);
}

// @ts-ignore: decorator
@inline function dot31(
  a: usize, aStride: usize, b: usize, bytes: usize, out: usize, outStride: usize, alpha: f32, add: bool,
): void {
  const zero = f32x4.splat(0);
  let s0 = zero, s1 = zero, s2 = zero;
  const a1 = a + aStride, a2 = a1 + aStride;
  for (let i: usize = 0; i < bytes; i += 16) {
    const y = v128.load(b + i);
    s0 = madd(v128.load(a + i), y, s0);
    s1 = madd(v128.load(a1 + i), y, s1);
    s2 = madd(v128.load(a2 + i), y, s2);
  }
  put(out, sumLanes(s0), alpha, add);
  put(out + outStride, sumLanes(s1), alpha, add);
  put(out + 2 * outStride, sumLanes(s2), alpha, add);
}

// @ts-ignore: decorator
@inline function dot11(a: usize, b: usize, bytes: usize, out: usize, alpha: f32, add: bool): void {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) sum = madd(v128.load(a + i), v128.load(b + i), sum);
  put(out, sumLanes(sum), alpha, add);
}

/**
 * out[rows, columns] = alpha · A·Bᵀ, or added to it. A is [rows, inner], B is [columns, inner]; strides are in bytes and
 * `inner` is a multiple of 4.
 */
export function dotBlock(
  a: usize, aStride: usize, b: usize, bStride: usize, out: usize, outStride: usize,
  rows: i32, columns: i32, inner: i32, alpha: f32, add: bool,
): void {
  const bytes = <usize>inner << 2;
  // Three rows at a time; the last four, where one would be left, by fours.
  const fours = rows % 3 == 1 && rows >= 4 ? 4 : 0;
  let m = 0;
  for (; m + 3 <= rows - fours; m += 3) {
    let bRow = b, to = out, n = 0;
    for (; n + 3 <= columns; n += 3) {
      dot33(a, aStride, bRow, bStride, bytes, to, outStride, alpha, add);
      bRow += 3 * bStride;
      to += 12;
    }
    for (; n < columns; n++) {
      dot31(a, aStride, bRow, bytes, to, outStride, alpha, add);
      bRow += bStride;
      to += 4;
    }
    a += 3 * aStride;
    out += 3 * outStride;
  }
  if (fours) {
    let bRow = b, to = out, n = 0;
    for (; n + 2 <= columns; n += 2) {
      dot42(a, aStride, bRow, bStride, bytes, to, outStride, alpha, add);
      bRow += 2 * bStride;
      to += 8;
    }
    if (n < columns) {
      for (let r = 0; r < 4; r++) dot11(a + r * aStride, bRow, bytes, to + r * outStride, alpha, add);
    }
    return;
  }
  if (m + 2 <= rows) {
    let bRow = b, to = out, n = 0;
    for (; n + 3 <= columns; n += 3) {
      dot23(a, aStride, bRow, bStride, bytes, to, outStride, alpha, add);
      bRow += 3 * bStride;
      to += 12;
    }
    for (; n < columns; n++) {
      for (let r = 0; r < 2; r++) dot11(a + r * aStride, bRow, bytes, to + r * outStride, alpha, add);
      bRow += bStride;
      to += 4;
    }
    a += 2 * aStride;
    out += 2 * outStride;
    m += 2;
  }
  for (; m < rows; m++) {
    let bRow = b, to = out, n = 0;
    for (; n + 3 <= columns; n += 3) {
      dot13(a, bRow, bStride, bytes, to, alpha, add);
      bRow += 3 * bStride;
      to += 12;
    }
    for (; n < columns; n++) {
      dot11(a, bRow, bytes, to, alpha, add);
      bRow += bStride;
      to += 4;
    }
    a += aStride;
    out += outStride;
  }
}

// @ts-ignore: decorator
@inline function putVector(out: usize, sum: v128, alpha: v128, add: bool): void {
  const scaled = f32x4.mul(sum, alpha);
  v128.store(out, add ? f32x4.add(v128.load(out), scaled) : scaled);
}

// @ts-ignore: decorator
@inline function outer48(
  a: usize, aRow: usize, aColumn: usize, b: usize, bStride: usize, inner: i32,
  out: usize, outStride: usize, alpha: v128, add: bool,
): void {
  const zero = f32x4.splat(0);
  let s00 = zero, s01 = zero, s10 = zero, s11 = zero;
  let s20 = zero, s21 = zero, s30 = zero, s31 = zero;
  const a1 = aRow, a2 = 2 * aRow, a3 = 3 * aRow;
  for (let k = 0; k < inner; k++) {
    const y0 = v128.load(b);
    const y1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    s00 = madd(x, y0, s00);
    s01 = madd(x, y1, s01);
    x = v128.load32_splat(a + a1);
    s10 = madd(x, y0, s10);
    s11 = madd(x, y1, s11);
    x = v128.load32_splat(a + a2);
    s20 = madd(x, y0, s20);
    s21 = madd(x, y1, s21);
    x = v128.load32_splat(a + a3);
    s30 = madd(x, y0, s30);
    s31 = madd(x, y1, s31);
    a += aColumn;
    b += bStride;
  }
  putVector(out, s00, alpha, add);
  putVector(out + 16, s01, alpha, add);
  out += outStride;
  putVector(out, s10, alpha, add);
  putVector(out + 16, s11, alpha, add);
  out += outStride;
  putVector(out, s20, alpha, add);
  putVector(out + 16, s21, alpha, add);
  out += outStride;
  putVector(out, s30, alpha, add);
  putVector(out + 16, s31, alpha, add);
}

// @ts-ignore: decorator
@inline function outer44(
  a: usize, aRow: usize, aColumn: usize, b: usize, bStride: usize, inner: i32,
  out: usize, outStride: usize, alpha: v128, add: bool,
): void {
  const zero = f32x4.splat(0);
  let s0 = zero, s1 = zero, s2 = zero, s3 = zero;
  for (let k = 0; k < inner; k++) {
    const y = v128.load(b);
    s0 = madd(v128.load32_splat(a), y, s0);
    s1 = madd(v128.load32_splat(a + aRow), y, s1);
    s2 = madd(v128.load32_splat(a + 2 * aRow), y, s2);
    s3 = madd(v128.load32_splat(a + 3 * aRow), y, s3);
    a += aColumn;
    b += bStride;
  }
  putVector(out, s0, alpha, add);
  putVector(out + outStride, s1, alpha, add);
  putVector(out + 2 * outStride, s2, alpha, add);
  putVector(out + 3 * outStride, s3, alpha, add);
}

// @ts-ignore: decorator
@inline function outer14(
  a: usize, aColumn: usize, b: usize, bStride: usize, inner: i32, out: usize, alpha: v128, add: bool,
): void {
  let sum = f32x4.splat(0);
  for (let k = 0; k < inner; k++) {
    sum = madd(v128.load32_splat(a), v128.load(b), sum);
    a += aColumn;
    b += bStride;
  }
  putVector(out, sum, alpha, add);
}

/** One output; through a vector, so that it is rounded as its neighbours in wider tiles are. */
// @ts-ignore: decorator
@inline function outer11(
  a: usize, aColumn: usize, b: usize, bStride: usize, inner: i32, out: usize, alpha: f32, add: bool,
): void {
  let sum = f32x4.splat(0);
  for (let k = 0; k < inner; k++) {
    sum = madd(v128.load32_splat(a), v128.load32_splat(b), sum);
    a += aColumn;
    b += bStride;
  }
  put(out, f32x4.extract_lane(sum, 0), alpha, add);
}

/**
 * out[rows, columns] = alpha · A·B, or added to it. A is [rows, inner] with any strides, B is [inner, columns] with
 * columns side by side; strides are in bytes.
 */
export function outerBlock(
  a: usize, aRow: usize, aColumn: usize, b: usize, bStride: usize, out: usize, outStride: usize,
  rows: i32, columns: i32, inner: i32, alpha: f32, add: bool,
): void {
  const factor = f32x4.splat(alpha);
  let m = 0;
  for (; m + 4 <= rows; m += 4) {
    let column = b, to = out, n = 0;
    for (; n + 8 <= columns; n += 8) {
      outer48(a, aRow, aColumn, column, bStride, inner, to, outStride, factor, add);
      column += 32;
      to += 32;
    }
    for (; n + 4 <= columns; n += 4) {
      outer44(a, aRow, aColumn, column, bStride, inner, to, outStride, factor, add);
      column += 16;
      to += 16;
    }
    for (; n < columns; n++) {
      for (let r = 0; r < 4; r++)
        outer11(a + r * aRow, aColumn, column, bStride, inner, to + r * outStride, alpha, add);
      column += 4;
      to += 4;
    }
    a += 4 * aRow;
    out += 4 * outStride;
  }
  for (; m < rows; m++) {
    let column = b, to = out, n = 0;
    for (; n + 4 <= columns; n += 4) {
      outer14(a, aColumn, column, bStride, inner, to, factor, add);
      column += 16;
      to += 16;
    }
    for (; n < columns; n++) {
      outer11(a, aColumn, column, bStride, inner, to, alpha, add);
      column += 4;
      to += 4;
    }
    a += aRow;
    out += outStride;
  }
}
