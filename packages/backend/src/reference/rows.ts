// Kernels that go by rows: normalization, rotation, look-up.
import type { RopeShape } from '../contract';
import type { FloatArray } from './memory';

/** y = x · inverse · weight with inverse = 1 / √(mean(x²) + epsilon). */
export function rmsNorm(
  x: FloatArray,
  weight: FloatArray,
  epsilon: number,
  y: FloatArray,
  inverse: FloatArray,
): void {
  const width = weight.length;
  for (let r = 0; r < inverse.length; r++) {
    let squares = 0;
    for (let i = r * width; i < (r + 1) * width; i++) squares += x[i]! * x[i]!;
    const factor = 1 / Math.sqrt(squares / width + epsilon);
    inverse[r] = factor;
    for (let i = 0; i < width; i++) y[r * width + i] = x[r * width + i]! * factor * weight[i]!;
  }
}

/** dx = inverse · (dy·w − x · inverse² · mean(dy·w·x)). */
export function rmsNormBackward(
  dy: FloatArray,
  x: FloatArray,
  weight: FloatArray,
  inverse: FloatArray,
  dx: FloatArray,
): void {
  const width = weight.length;
  for (let r = 0; r < inverse.length; r++) {
    const row = r * width;
    const factor = inverse[r]!;
    let product = 0;
    for (let i = 0; i < width; i++) product += dy[row + i]! * weight[i]! * x[row + i]!;
    const mean = (product / width) * factor * factor;
    for (let i = 0; i < width; i++) dx[row + i] = factor * (dy[row + i]! * weight[i]! - x[row + i]! * mean);
  }
}

/** dWeight = Σ over rows of dy · x · inverse. */
export function rmsNormWeightBackward(
  dy: FloatArray,
  x: FloatArray,
  inverse: FloatArray,
  dWeight: FloatArray,
): void {
  const width = dWeight.length;
  const sums = new Float64Array(width);
  for (let r = 0; r < inverse.length; r++) {
    for (let i = 0; i < width; i++) sums[i]! += dy[r * width + i]! * x[r * width + i]! * inverse[r]!;
  }
  dWeight.set(sums);
}

/** Rotates pairs (x[i], x[i + headDim/2]) of each head by the angle of the row's position; `sign` −1 rotates back. */
export function rope(
  x: FloatArray,
  cos: FloatArray,
  sin: FloatArray,
  shape: RopeShape,
  sign: 1 | -1,
  out: FloatArray,
): void {
  const { heads, headDim, sequenceLength, offset } = shape;
  const half = headDim / 2;
  const rows = x.length / (heads * headDim);
  for (let r = 0; r < rows; r++) {
    const table = (offset + (r % sequenceLength)) * half;
    for (let h = 0; h < heads; h++) {
      const start = (r * heads + h) * headDim;
      for (let i = 0; i < half; i++) {
        const c = cos[table + i]!;
        const s = sign * sin[table + i]!;
        const a = x[start + i]!;
        const b = x[start + half + i]!;
        out[start + i] = a * c - b * s;
        out[start + half + i] = b * c + a * s;
      }
    }
  }
}

/** dTable[id] += dy of every row with that id. */
export function embeddingBackward(dy: FloatArray, ids: Int32Array, width: number, dTable: FloatArray): void {
  for (let r = 0; r < ids.length; r++) {
    const target = ids[r]! * width;
    for (let i = 0; i < width; i++) dTable[target + i]! += dy[r * width + i]!;
  }
}

/** Sums of the columns. */
export function sumRows(x: FloatArray, columns: number, out: FloatArray): void {
  const sums = new Float64Array(columns);
  for (let i = 0; i < x.length; i += columns) {
    for (let c = 0; c < columns; c++) sums[c]! += x[i + c]!;
  }
  out.set(sums);
}
