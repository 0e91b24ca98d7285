// How much each value of a group counts where columns matter by an importance: its column's, times √(variance + value²), as
// ggml's searches have it (ggml/src/ggml-quants.c, quantize_row_q*_K_impl).
const { fround } = Math;

/**
 * Puts the weights of `weights.length` values from `start` on into `weights`, and returns their sum, in f32.
 *
 * @param importance one number a value of the row, from which `values` are.
 * @param variance of the super-block; q2_K takes the mean square, q3_K to q5_K twice that.
 */
export function weighGroup(
  values: Float32Array,
  start: number,
  importance: Float32Array,
  variance: number,
  weights: Float32Array,
): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    const value = values[start + i]!;
    const deviation = fround(Math.sqrt(fround(variance + fround(value * value))));
    weights[i] = importance[start + i]! * deviation;
    sum = fround(sum + weights[i]!);
  }
  return sum;
}
