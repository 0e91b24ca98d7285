// What zero-point does to values before they are encoded, in plain TypeScript: what the kernel is held to, and what runs where
// there is none, for small inputs, and for a short last block.

/** The middle of the range of each block (never -0), the largest distance from it, and the values less the middle. */
export function plainCentre(
  values: Float32Array,
  blockSize: number,
  zeroPoints: Float32Array,
  scales: Float32Array,
  centred: Float32Array,
): void {
  for (let b = 0, start = 0; start < values.length; b++, start += blockSize) {
    const end = Math.min(start + blockSize, values.length);
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let i = start; i < end; i++) {
      min = Math.min(min, values[i]!);
      max = Math.max(max, values[i]!);
    }
    const middle = Math.fround(min / 2 + max / 2) + 0;
    let scale = 0;
    for (let i = start; i < end; i++) {
      const distance = Math.fround(values[i]! - middle);
      centred[i] = distance;
      scale = Math.max(scale, Math.abs(distance));
    }
    zeroPoints[b] = middle;
    scales[b] = scale;
  }
}
