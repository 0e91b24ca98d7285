// scaling · B·A, each value summed in f64 in the order of the rank, whatever rows are asked for together. Two rows and four
// columns at a time: eight sums stay in registers, and a value of A is loaded, already in f64, once for two rows.
const COLUMNS = 4;

/** Some rows of scaling · B·A. */
export interface DeltaInput {
  /** A, [rank, inFeatures]. */
  readonly a: Float32Array;
  /** The rows of B, [rows, rank]. */
  readonly b: Float32Array;
  readonly rank: number;
  readonly inFeatures: number;
  readonly scaling: number;
}

/** [rows, inFeatures] in f32, rounded once. */
export function loraDelta({ a, b, rank, inFeatures, scaling }: DeltaInput): Float32Array {
  const rows = rank === 0 ? 0 : b.length / rank;
  const delta = new Float32Array(rows * inFeatures);
  const groups = groupColumns(a, rank, inFeatures);
  // Of two rows side by side; the second one is zeros where there is none.
  const pair = new Float64Array(2 * rank);
  for (let row = 0; row < rows; row += 2) {
    const isPair = row + 1 < rows;
    for (let r = 0; r < rank; r++) {
      pair[2 * r] = b[row * rank + r]!;
      pair[2 * r + 1] = isPair ? b[(row + 1) * rank + r]! : 0;
    }
    const first = delta.subarray(row * inFeatures, (row + 1) * inFeatures);
    const second = isPair ? delta.subarray((row + 1) * inFeatures, (row + 2) * inFeatures) : undefined;
    for (let column = 0, k = 0; column < inFeatures; column += COLUMNS, k += rank * COLUMNS) {
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      let t0 = 0;
      let t1 = 0;
      let t2 = 0;
      let t3 = 0;
      for (let r = 0; r < rank; r++) {
        const at = k + r * COLUMNS;
        const f = pair[2 * r]!;
        const g = pair[2 * r + 1]!;
        const x0 = groups[at]!;
        const x1 = groups[at + 1]!;
        const x2 = groups[at + 2]!;
        const x3 = groups[at + 3]!;
        s0 += f * x0;
        s1 += f * x1;
        s2 += f * x2;
        s3 += f * x3;
        t0 += g * x0;
        t1 += g * x1;
        t2 += g * x2;
        t3 += g * x3;
      }
      // What lies beyond the end of a row is not stored: typed arrays ignore it.
      first[column] = s0 * scaling;
      first[column + 1] = s1 * scaling;
      first[column + 2] = s2 * scaling;
      first[column + 3] = s3 * scaling;
      if (!second) continue;
      second[column] = t0 * scaling;
      second[column + 1] = t1 * scaling;
      second[column + 2] = t2 * scaling;
      second[column + 3] = t3 * scaling;
    }
  }
  return delta;
}

/** A in f64, four columns side by side for each rank, the last group filled up with zeros. */
function groupColumns(a: Float32Array, rank: number, inFeatures: number): Float64Array {
  const groups = new Float64Array(Math.ceil(inFeatures / COLUMNS) * COLUMNS * rank);
  for (let r = 0; r < rank; r++) {
    for (let i = 0; i < inFeatures; i++) {
      const group = Math.floor(i / COLUMNS);
      groups[(group * rank + r) * COLUMNS + (i % COLUMNS)] = a[r * inFeatures + i]!;
    }
  }
  return groups;
}
