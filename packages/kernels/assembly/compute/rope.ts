// Rotary embedding (Su et al. 2021), half-split order as in Hugging Face's Llama: pair i of a head is
// (x[i], x[i + headDim/2]), rotated by the angle of the row's position.
import { madd } from '../simd';

/**
 * x and out are [rows, heads · headDim], cos and sin [positions, headDim/2]; row r has position
 * offset + r mod sequenceLength. `sign` is 1, or −1 to rotate back. Units: rows. `out` may be x.
 */
export function rope(
  x: usize, cos: usize, sin: usize, out: usize, heads: i32, headDim: i32, sequenceLength: i32, offset: i32,
  sign: f32, begin: i32, end: i32,
): void {
  const half = <usize>(headDim >> 1) << 2;
  const signs = f32x4.splat(sign);
  for (let row = begin; row < end; row++) {
    const table = <usize>(offset + row % sequenceLength) * half;
    const cosines = cos + table;
    const sines = sin + table;
    const start = <usize>row * heads * headDim << 2;
    let from = x + start;
    let to = out + start;
    for (let head = 0; head < heads; head++) {
      let i: usize = 0;
      for (; i + 16 <= half; i += 16) {
        const c = v128.load(cosines + i);
        const s = f32x4.mul(v128.load(sines + i), signs);
        const a = v128.load(from + i);
        const b = v128.load(from + half + i);
        v128.store(to + i, madd(f32x4.neg(b), s, f32x4.mul(a, c)));
        v128.store(to + half + i, madd(a, s, f32x4.mul(b, c)));
      }
      for (; i < half; i += 4) {
        const c = load<f32>(cosines + i);
        const s = load<f32>(sines + i) * sign;
        const a = load<f32>(from + i);
        const b = load<f32>(from + half + i);
        store<f32>(to + i, a * c - b * s);
        store<f32>(to + half + i, b * c + a * s);
      }
      from += 2 * half;
      to += 2 * half;
    }
  }
}
