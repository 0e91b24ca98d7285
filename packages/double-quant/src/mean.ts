// The mean of f32 values in the order of additions that PyTorch uses on x86 (aten/src/ATen/native/cpu/SumKernel.cpp,
// vectorized_inner_sum with vectors of 8, then division), because the offset of double quantization is such a mean and
// ends up in files: 4 rows of 8 lanes are summed side by side, in a cascade of 4 levels that keeps the error small.
//
// PyTorch splits sums of 32768 and more values over its threads; this is its one-thread order for any count.

import { cascadeSums } from '@qlora/kernels';

// Below this many rows a call into WebAssembly costs more than it saves.
const SMALL = 16;

const LANES = 8;
const ROWS = 4;
const WIDTH = LANES * ROWS;
const LEVELS = 4;

/** Mean of `values`, 0 if there are none. */
export function mean(values: Float32Array): number {
  if (values.length === 0) return 0;
  if (values.length < LANES) return Math.fround(sumOfFew(values) / values.length);
  const vectors = Math.floor(values.length / LANES);
  const sums = columnSums(values, Math.floor(vectors / ROWS));
  for (let i = Math.floor(vectors / ROWS) * ROWS; i < vectors; i++) {
    for (let lane = 0; lane < LANES; lane++) sums[lane]! += values[i * LANES + lane]!;
  }
  for (let row = 1; row < ROWS; row++) {
    for (let lane = 0; lane < LANES; lane++) sums[lane]! += sums[row * LANES + lane]!;
  }
  let total = 0;
  for (let i = vectors * LANES; i < values.length; i++) total = Math.fround(total + values[i]!);
  for (let lane = 0; lane < LANES; lane++) total = Math.fround(total + sums[lane]!);
  return Math.fround(total / values.length);
}

/** Fewer than a vector: four sums side by side, what is left goes to the first, then they are added up. */
function sumOfFew(values: Float32Array): number {
  const whole = values.length < ROWS ? 0 : ROWS;
  let sum = whole === 0 ? 0 : values[0]!;
  for (let i = whole; i < values.length; i++) sum = Math.fround(sum + values[i]!);
  for (let i = 1; i < whole; i++) sum = Math.fround(sum + values[i]!);
  return sum;
}

/** Sums of each of the 32 columns over `count` rows. */
function columnSums(values: Float32Array, count: number): Float32Array {
  const power = Math.max(4, Math.floor(Math.ceil(Math.log2(Math.max(count, 2))) / LEVELS));
  const fast = count >= SMALL ? cascadeSums(values, count, power) : undefined;
  return fast ?? plainCascade(values, count, power);
}

/** The same in plain TypeScript: each level takes over from the one below when that has 2^power rows. */
export function plainCascade(values: Float32Array, count: number, power: number): Float32Array {
  const step = 2 ** power;
  const levels = Array.from({ length: LEVELS }, () => new Float32Array(WIDTH));
  const [lowest] = levels as [Float32Array];
  let row = 0;
  const addRow = () => {
    for (let c = 0; c < WIDTH; c++) lowest[c]! += values[row * WIDTH + c]!;
    row++;
  };
  while (row + step <= count) {
    for (let i = 0; i < step; i++) addRow();
    for (let level = 1; level < LEVELS; level++) {
      moveUp(levels[level - 1]!, levels[level]!);
      if (Math.floor(row / step ** level) % step !== 0) break;
    }
  }
  while (row < count) addRow();
  for (let level = 1; level < LEVELS; level++)
    for (let c = 0; c < WIDTH; c++) lowest[c]! += levels[level]![c]!;
  return lowest;
}

function moveUp(from: Float32Array, to: Float32Array): void {
  for (let c = 0; c < WIDTH; c++) {
    to[c]! += from[c]!;
    from[c] = 0;
  }
}
