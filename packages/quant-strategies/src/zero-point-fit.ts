// Where zero-point lays each block on the codebook: four mappings are tried, and the one that gives the values back with the
// least squared error is kept. zero-point.ts says which mappings, and why these. Everything goes part by part through the
// codec's own encode and decode, so that any codec can be fitted, with its kernels if it has some.
import { centreBlocks } from '@qlora/kernels';
import type { Codec } from './contract';
import { plainCentre } from './zero-point-reference';

// Below this many values a call into WebAssembly costs more than it saves.
const SMALL = 256;

// The least scale: codecs divide a short last block by its scale, and 0 / 0 has no code.
const TINY = Math.fround(1e-38);

// Half the largest f32: up to there what comes back is finite.
const MOST = 2 ** 127;

// Places in the codebook, counted from its ends, on which an end of a range may lie instead of on ±1.
const INNER = [1, 3];

/** A mapping of each block: its values lie around the zero point, at most one scale from it. */
interface Mapping {
  readonly zeroPoints: Float32Array;
  readonly scales: Float32Array;
}

/** Finds zero points and scales for the blocks of a part of a tensor; the last block may be short. */
export type BlockFit = (values: Float32Array, fitted: Mapping) => void;

/** A fit for parts of at most `most` values. It keeps scratch arrays, a few times the size of a part. */
export function blockFit(codec: Codec, blockSize: number, most: number): BlockFit {
  const blocks = Math.ceil(most / blockSize);
  const middles = new Float32Array(blocks);
  const halves = new Float32Array(blocks);
  const leaning = new Float64Array(blocks);
  const errors = new Float64Array(blocks);
  const zeroPoints = new Float32Array(blocks);
  const scales = new Float32Array(blocks);
  const shifted = new Float32Array(most);
  const nearEnds = innerEntries(codec.codebook);

  return (values, fitted) => {
    const count = fitted.scales.length;
    const moved = shifted.subarray(0, values.length);
    const ranges = { zeroPoints: middles.subarray(0, count), scales: halves.subarray(0, count) };
    const tried = { zeroPoints: zeroPoints.subarray(0, count), scales: scales.subarray(0, count) };
    errors.fill(Number.POSITIVE_INFINITY);
    const attempt = (mapping: Mapping, encoded: Float32Array) => {
      const codes = codec.encode(encoded, mapping.scales, blockSize);
      const decoded = codec.decode(codes, mapping.scales, blockSize, values.length);
      keepBetter(values, decoded, blockSize, mapping, errors, fitted);
    };

    centre(values, blockSize, ranges, moved);
    sums(moved, blockSize, leaning);
    attempt(ranges, moved);
    for (const [low, high] of nearEnds) {
      mapRanges(ranges, leaning, low, high, tried);
      attempt(tried, shift(values, blockSize, tried.zeroPoints, moved));
    }
    tried.zeroPoints.fill(0);
    attempt({ zeroPoints: tried.zeroPoints, scales: codec.absmax(values, blockSize) }, values);
  };
}

/** Values less the zero point of their block, into `shifted`, which is returned. */
export function shift(
  values: Float32Array,
  blockSize: number,
  zeroPoints: Float32Array,
  shifted: Float32Array,
): Float32Array {
  for (let b = 0, i = 0; b < zeroPoints.length; b++) {
    const zero = zeroPoints[b]!;
    const end = Math.min(i + blockSize, values.length);
    for (const last = end - 3; i < last; i += 4) {
      shifted[i] = values[i]! - zero;
      shifted[i + 1] = values[i + 1]! - zero;
      shifted[i + 2] = values[i + 2]! - zero;
      shifted[i + 3] = values[i + 3]! - zero;
    }
    for (; i < end; i++) shifted[i] = values[i]! - zero;
  }
  return shifted;
}

/** Entries that the near end of a range may become: as its lower end, and as its upper one. */
function innerEntries(codebook: Float32Array): [low: number, high: number][] {
  const sorted = codebook.slice().sort();
  const last = sorted.length - 1;
  return INNER.filter((i) => 2 * i < last).map((i) => [sorted[i]!, sorted[last - i]!]);
}

/** The middle and half the length of the range of each block, and the values less the middle. */
function centre(values: Float32Array, blockSize: number, ranges: Mapping, centred: Float32Array): void {
  const { zeroPoints, scales } = ranges;
  let done = 0;
  if (values.length >= SMALL && centreBlocks(values, blockSize, zeroPoints, scales, centred)) {
    done = Math.floor(values.length / blockSize);
  }
  const start = done * blockSize;
  plainCentre(
    values.subarray(start),
    blockSize,
    zeroPoints.subarray(done),
    scales.subarray(done),
    centred.subarray(start),
  );
  for (let b = 0; b < scales.length; b++) scales[b] = usableScale(zeroPoints[b]!, scales[b]!);
}

/** The sum of each block. */
function sums(values: Float32Array, blockSize: number, results: Float64Array): void {
  for (let b = 0, i = 0; i < values.length; b++) {
    const end = Math.min(i + blockSize, values.length);
    let sum = 0;
    let other = 0;
    for (const last = end - 1; i < last; i += 2) {
      sum += values[i]!;
      other += values[i + 1]!;
    }
    if (i < end) sum += values[i++]!;
    results[b] = sum + other;
  }
}

/**
 * Maps ranges so that the near end, that of the side to which the block leans, becomes `low` or `high`, and the far end 1 or
 * -1. The near end comes back exactly where its difference from the middle is exact: blocks with many zeros and none below
 * keep them.
 */
function mapRanges(
  ranges: Mapping,
  leaning: Float64Array,
  low: number,
  high: number,
  { zeroPoints, scales }: Mapping,
): void {
  for (let b = 0; b < scales.length; b++) {
    const middle = ranges.zeroPoints[b]!;
    const half = ranges.scales[b]!;
    const below = leaning[b]! < 0;
    const entry = below ? low : high;
    const scale = Math.fround((2 * half) / (1 + Math.abs(entry)));
    // Not -0.
    zeroPoints[b] = (below ? middle - half : middle + half) - Math.fround(entry * scale) + 0;
    scales[b] = usableScale(zeroPoints[b]!, scale);
  }
}

/** The scale, or infinity, whose error is not less than any, where something may come back as infinity. */
function usableScale(zeroPoint: number, scale: number): number {
  return Math.abs(zeroPoint) + scale < MOST ? Math.max(scale, TINY) : Number.POSITIVE_INFINITY;
}

/** Takes over the zero points and scales of blocks that come back better than from what was fitted before. */
function keepBetter(
  values: Float32Array,
  decoded: Float32Array,
  blockSize: number,
  { zeroPoints, scales }: Mapping,
  errors: Float64Array,
  fitted: Mapping,
): void {
  for (let b = 0, i = 0; i < values.length; b++) {
    const zero = zeroPoints[b]!;
    const end = Math.min(i + blockSize, values.length);
    let error = 0;
    let other = 0;
    for (const last = end - 1; i < last; i += 2) {
      const first = values[i]! - (decoded[i]! + zero);
      const second = values[i + 1]! - (decoded[i + 1]! + zero);
      error += first * first;
      other += second * second;
    }
    if (i < end) error += (values[i]! - (decoded[i++]! + zero)) ** 2;
    error += other;
    if (error < errors[b]!) {
      errors[b] = error;
      fitted.scales[b] = scales[b]!;
      fitted.zeroPoints[b] = zero;
    }
  }
}
