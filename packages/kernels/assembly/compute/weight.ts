// A 4-bit weight in memory, and its values. It is described by nine words, written by the host:
//
//    0  codes: two to a byte, the first in the high nibble, over the flattened [outFeatures, inFeatures]
//    4  codebook: see decode.ts
//    8  values that share a scale, over the flattened weight
//   12  scales: f32, or a byte each if `nested` is not 0
//   16  nested: f32 scales of the scales, or 0
//   20  values that share a nested scale
//   24  map: the 256 f32 values that the bytes of scales stand for
//   28  zero points: f32, one a block, or 0
//   32  offset: f32, added to nested scales
import { PLANES, decode32 } from '../decode';

/** The scale of a block. */
// @ts-ignore: decorator
@inline export function scaleOf(weight: usize, block: i32): f32 {
  const scales = load<usize>(weight, 12);
  const nested = load<usize>(weight, 16);
  if (nested == 0) return load<f32>(scales + (<usize>block << 2));
  const value = load<f32>(load<usize>(weight, 24) + (<usize>load<u8>(scales + block) << 2));
  return value * load<f32>(nested + (<usize>(block / load<i32>(weight, 20)) << 2)) + load<f32>(weight, 32);
}

/** Decodes `count` values from flat index `start` on to `out`. */
export function decodeRun(weight: usize, start: i64, count: i32, out: usize): void {
  // A block of a weight without columns has no length, which is nothing to divide by.
  if (count == 0) return;
  const codes = load<usize>(weight);
  const codebook = load<usize>(weight, 4);
  const blockSize = load<i32>(weight, 8);
  const zeroPoints = load<usize>(weight, 28);
  const p0 = v128.load(codebook + PLANES);
  const p1 = v128.load(codebook + PLANES, 16);
  const p2 = v128.load(codebook + PLANES, 32);
  const p3 = v128.load(codebook + PLANES, 48);
  let i = 0;
  // One division for all blocks: it would take as long as decoding a block.
  let block = <i32>(start / blockSize);
  let rest = <i32>(<i64>(block + 1) * blockSize - start);
  for (; i < count; block++, rest = blockSize) {
    const run = min(count - i, rest);
    const scale = scaleOf(weight, block);
    const end = i + run;
    const from = i;
    // Up to a whole byte, then 32 at a time, then what is left.
    if ((start + i) & 1 && i < end) {
      store<f32>(out + (i << 2), load<f32>(codebook + (<usize>(load<u8>(codes + <usize>((start + i) >> 1)) & 15) << 2)) * scale);
      i++;
    }
    const factor = f32x4.splat(scale);
    for (; i + 32 <= end; i += 32) decode32(codes + <usize>((start + i) >> 1), p0, p1, p2, p3, factor, out + (i << 2));
    for (; i < end; i++) {
      const flat = start + i;
      const byte = load<u8>(codes + <usize>(flat >> 1));
      const code = flat & 1 ? byte & 15 : byte >> 4;
      store<f32>(out + (i << 2), load<f32>(codebook + (<usize>code << 2)) * scale);
    }
    if (zeroPoints) {
      const shift = load<f32>(zeroPoints + (<usize>block << 2));
      for (let j = from; j < end; j++) store<f32>(out + (j << 2), load<f32>(out + (j << 2)) + shift);
    }
  }
}

/** The weight in f32; `begin` and `end` are rows. */
export function dequantize(weight: usize, inFeatures: i32, out: usize, begin: i32, end: i32): void {
  for (let row = begin; row < end; row++)
    decodeRun(weight, <i64>row * inFeatures, inFeatures, out + (<usize>row * inFeatures << 2));
}
