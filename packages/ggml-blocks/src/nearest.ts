// Rounding to the nearest integer as ggml's nearest_int does it (ggml/src/ggml-quants.c, llama.cpp v0.5.0): to even at
// ties, by adding 1.5 · 2^23 in f32 and reading the lowest 23 bits.
//
// Odd: for magnitudes above 2^22, and infinity, those bits say something else; ggml's library takes them as they come (its
// assertion is compiled out), and clamps. So does this.

const MAGIC = 12582912;
const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** The integer nearest to an f32 value. */
export function nearestInt(value: number): number {
  const sum = Math.fround(value + MAGIC);
  // Here the bits say what the difference says, at less expense.
  if (sum >= 8388608 && sum < 16777216) return sum - MAGIC;
  if (Number.isNaN(sum)) return 0; // the only NaN that arithmetic makes has the bit 0x400000 alone
  float[0] = sum;
  return (bits[0]! & 0x7fffff) - 0x400000;
}

/** The same, not below `low` nor above `high`. */
export function nearestIn(value: number, low: number, high: number): number {
  const nearest = nearestInt(value);
  return Math.max(low, Math.min(high, nearest));
}
