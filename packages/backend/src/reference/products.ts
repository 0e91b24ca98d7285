// Matrix products. One kernel, in dot form: both operands lie along the inner axis, every output is one sum in one
// order, accumulated in f64. The other transpositions are copied into that form first.
import type { FloatArray } from './memory';

/** out[m, n] = Σₖ a[m, k] · b[n, k]. */
export function dotProducts(
  a: FloatArray,
  b: FloatArray,
  out: FloatArray,
  rows: number,
  columns: number,
  inner: number,
): void {
  // 2 × 4 outputs at once: eight sums live in registers, and each loaded value is used several times.
  let m = 0;
  for (; m + 2 <= rows; m += 2) {
    const a0 = m * inner;
    const a1 = a0 + inner;
    let n = 0;
    for (; n + 4 <= columns; n += 4) {
      const b0 = n * inner;
      const b1 = b0 + inner;
      const b2 = b1 + inner;
      const b3 = b2 + inner;
      let s00 = 0;
      let s01 = 0;
      let s02 = 0;
      let s03 = 0;
      let s10 = 0;
      let s11 = 0;
      let s12 = 0;
      let s13 = 0;
      for (let k = 0; k < inner; k++) {
        const x0 = a[a0 + k]!;
        const x1 = a[a1 + k]!;
        const y0 = b[b0 + k]!;
        const y1 = b[b1 + k]!;
        const y2 = b[b2 + k]!;
        const y3 = b[b3 + k]!;
        s00 += x0 * y0;
        s01 += x0 * y1;
        s02 += x0 * y2;
        s03 += x0 * y3;
        s10 += x1 * y0;
        s11 += x1 * y1;
        s12 += x1 * y2;
        s13 += x1 * y3;
      }
      const o0 = m * columns + n;
      const o1 = o0 + columns;
      out[o0] = s00;
      out[o0 + 1] = s01;
      out[o0 + 2] = s02;
      out[o0 + 3] = s03;
      out[o1] = s10;
      out[o1 + 1] = s11;
      out[o1 + 2] = s12;
      out[o1 + 3] = s13;
    }
    for (; n < columns; n++) {
      out[m * columns + n] = dot(a, a0, b, n * inner, inner);
      out[(m + 1) * columns + n] = dot(a, a1, b, n * inner, inner);
    }
  }
  for (; m < rows; m++) {
    for (let n = 0; n < columns; n++) out[m * columns + n] = dot(a, m * inner, b, n * inner, inner);
  }
}

/** Σₖ a[i + k] · b[j + k]. */
export function dot(a: FloatArray, i: number, b: FloatArray, j: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += a[i + k]! * b[j + k]!;
  return sum;
}

/** out[c, r] = x[r, c]. */
export function transpose<A extends FloatArray>(x: A, rows: number, columns: number): A {
  const out = new (x.constructor as new (length: number) => A)(x.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = x[r * columns + c]!;
  }
  return out;
}
