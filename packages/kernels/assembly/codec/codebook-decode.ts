// 4-bit codes to values.
import { decode32, PLANES } from '../decode';

/** Values of `blocks` blocks of `blockSize` values, a multiple of 32: codebook[code] × scale. */
export function decode(
  codes: usize, scales: usize, values: usize, blocks: i32, blockSize: i32, codebook: usize,
): void {
  const plane0 = v128.load(codebook + PLANES);
  const plane1 = v128.load(codebook + PLANES, 16);
  const plane2 = v128.load(codebook + PLANES, 32);
  const plane3 = v128.load(codebook + PLANES, 48);
  const bytes = <usize>blockSize << 2;
  for (const end = scales + (<usize>blocks << 2); scales < end; scales += 4) {
    const scale = v128.load32_splat(scales);
    for (const last = values + bytes; values < last; values += 128, codes += 16) {
      decode32(codes, plane0, plane1, plane2, plane3, scale, values);
    }
  }
}
