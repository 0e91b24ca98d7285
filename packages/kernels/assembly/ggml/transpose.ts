// Four groups of values side by side: the first value of each in one vector, the second in the next, and so on.
import { high32, high64, low32, low64 } from '../simd';

/** Transposes four groups of `size` f32 values (a multiple of 4), which lie one behind the other. */
export function transpose(values: usize, size: i32, to: usize): void {
  const bytes = <usize>size << 2;
  for (const end = values + bytes; values < end; values += 16, to += 64) {
    const a = v128.load(values);
    const b = v128.load(values + bytes);
    const c = v128.load(values + 2 * bytes);
    const d = v128.load(values + 3 * bytes);
    const lowAb = low32(a, b);
    const lowCd = low32(c, d);
    const highAb = high32(a, b);
    const highCd = high32(c, d);
    v128.store(to, low64(lowAb, lowCd));
    v128.store(to, high64(lowAb, lowCd), 16);
    v128.store(to, low64(highAb, highCd), 32);
    v128.store(to, high64(highAb, highCd), 48);
  }
}
