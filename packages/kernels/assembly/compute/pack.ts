// Bringing an operand into the form that a tile wants: rows along the inner axis, padded with zeros to a multiple of 4.
import { high32, high64, low32, low64 } from '../simd';

/** Copies `rows` × `inner` values; each row of `to` has `inner` rounded up to 4, the rest zero. Strides in bytes. */
export function packRows(from: usize, fromStride: usize, to: usize, toStride: usize, rows: i32, inner: i32): void {
  for (let r = 0; r < rows; r++) {
    let k = 0;
    for (; k + 4 <= inner; k += 4) v128.store(to + (k << 2), v128.load(from + (k << 2)));
    if (k < inner) {
      v128.store(to + (k << 2), i32x4.splat(0));
      for (; k < inner; k++) store<f32>(to + (k << 2), load<f32>(from + (k << 2)));
    }
    from += fromStride;
    to += toStride;
  }
}

/**
 * to[r, k] = from[k, r] for `rows` rows and `inner` values each; rows of `to` are padded with zeros to a multiple of 4.
 * Strides in bytes.
 */
export function packTransposed(
  from: usize, fromStride: usize, to: usize, toStride: usize, rows: i32, inner: i32,
): void {
  for (let k = 0; k < inner; k += 4) {
    const whole = k + 4 <= inner;
    const source = from + k * fromStride;
    let r = 0;
    if (whole) {
      for (; r + 4 <= rows; r += 4) {
        const at = source + (r << 2);
        const v0 = v128.load(at);
        const v1 = v128.load(at + fromStride);
        const v2 = v128.load(at + 2 * fromStride);
        const v3 = v128.load(at + 3 * fromStride);
        const a = low32(v0, v1);
        const b = low32(v2, v3);
        const c = high32(v0, v1);
        const d = high32(v2, v3);
        const target = to + r * toStride + (k << 2);
        v128.store(target, low64(a, b));
        v128.store(target + toStride, high64(a, b));
        v128.store(target + 2 * toStride, low64(c, d));
        v128.store(target + 3 * toStride, high64(c, d));
      }
    }
    for (; r < rows; r++) {
      const target = to + r * toStride + (k << 2);
      for (let i = 0; i < 4; i++) {
        store<f32>(target + (i << 2), k + i < inner ? load<f32>(source + i * fromStride + (r << 2)) : 0);
      }
    }
  }
}
