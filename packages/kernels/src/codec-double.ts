// Double quantization of scales, and the sums behind its mean. Tables come from @qlora/double-quant, which knows the format.
import { AT, type Codec, codec, inParts, put, WINDOW } from './codec';

/** f32 columns of a row of sums, and levels of the cascade. */
const COLUMNS = 32;
const LEVELS = 4;

let binsOf: Uint8Array | undefined;

/**
 * Codes and nested scales of each whole block of `scales`. False if nothing was done.
 *
 * @param bins the code of each of 65536 bins of [-1, 1]; the same array each time, it is copied once.
 */
export function doubleQuantizeBlocks(
  scales: Float32Array,
  blockSize: number,
  offset: number,
  bins: Uint8Array,
  codes: Uint8Array,
  nested: Float32Array,
): boolean {
  const kernels = usable(blockSize);
  if (!kernels) return false;
  if (binsOf !== bins) kernels.bytes.set(bins, AT.bins);
  binsOf = bins;
  inParts(scales.length - (scales.length % blockSize), WINDOW, (start, length) => {
    const blocks = length / blockSize;
    kernels.floats.set(scales.subarray(start, start + length), AT.wide / 4);
    kernels.encodeDouble(AT.wide, AT.narrow, AT.peaks, blocks, blockSize, offset, AT.bins);
    put(codes, start, kernels.bytes.subarray(AT.narrow, AT.narrow + length));
    nested.set(kernels.floats.subarray(AT.peaks / 4, AT.peaks / 4 + blocks), start / blockSize);
  });
  return true;
}

/** Scales of each whole block of codes: map[code] × nested + offset, in f32. False if nothing was done. */
export function doubleDequantizeBlocks(
  codes: Uint8Array,
  nested: Float32Array,
  blockSize: number,
  offset: number,
  map: Float32Array,
  scales: Float32Array,
): boolean {
  const kernels = usable(blockSize);
  // An offset that is no f32 number is added in f64 by plain JavaScript.
  if (!kernels || Math.fround(offset) !== offset) return false;
  kernels.floats.set(map, AT.table / 4);
  inParts(codes.length - (codes.length % blockSize), WINDOW, (start, length) => {
    const first = start / blockSize;
    kernels.bytes.set(codes.subarray(start, start + length), AT.narrow);
    kernels.floats.set(nested.subarray(first, first + length / blockSize), AT.peaks / 4);
    kernels.decodeDouble(AT.narrow, AT.peaks, AT.wide, length, blockSize, offset, AT.table);
    put(scales, start, kernels.floats.subarray(AT.wide / 4, AT.wide / 4 + length));
  });
  return true;
}

/**
 * Sums of 32 columns over `count` rows, in a cascade of four levels that hold 2^power rows each.
 * @returns undefined where there are no kernels.
 */
export function cascadeSums(values: Float32Array, count: number, power: number): Float32Array | undefined {
  const kernels = codec();
  const step = 2 ** power;
  const rowsInWindow = WINDOW / COLUMNS;
  if (!kernels || step > rowsInWindow) return undefined;
  const at = AT.levels / 4;
  const levels = kernels.floats.subarray(at, at + LEVELS * COLUMNS);
  levels.fill(0);
  inParts(count, rowsInWindow, (first, rows) => {
    kernels.floats.set(values.subarray(first * COLUMNS, (first + rows) * COLUMNS), AT.wide / 4);
    const steps = Math.floor(rows / step);
    kernels.addSteps(AT.wide, steps, power, AT.levels, first);
    // Fewer rows than a step are left only at the end.
    kernels.addRows(AT.wide + 4 * COLUMNS * steps * step, rows % step, AT.levels);
  });
  for (let level = 1; level < LEVELS; level++) kernels.addRows(AT.levels + 4 * COLUMNS * level, 1, AT.levels);
  return levels.slice(0, COLUMNS);
}

/** Block sizes of double quantization are powers of two. */
function usable(blockSize: number): Codec | false {
  return blockSize >= 16 && blockSize <= WINDOW && WINDOW % blockSize === 0 && codec();
}
