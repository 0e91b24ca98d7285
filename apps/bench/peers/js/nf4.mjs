// NF4 by the book (Dettmers et al. 2023; bitsandbytes, functional.py), for peers that take quantized weights but cannot
// make them. Plain and slow, and not the packages' own code, which is what is measured.

const CODEBOOK = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);
const MIDPOINTS = CODEBOOK.slice(1).map((value, i) => (value + CODEBOOK[i]) / 2);

/** Codes, two a byte with the first in the high nibble, and scales of blocks of values. */
export function nf4Blocks(values, blockSize) {
  const absmax = new Float32Array(values.length / blockSize);
  const codes = new Uint8Array(values.length / 2);
  for (let block = 0; block < absmax.length; block++) {
    const start = block * blockSize;
    let max = 0;
    for (let i = start; i < start + blockSize; i++) max = Math.max(max, Math.abs(values[i]));
    absmax[block] = max;
    for (let i = start; i < start + blockSize; i++) {
      const scaled = max === 0 ? 0 : values[i] / max;
      let code = 0;
      for (const midpoint of MIDPOINTS) if (scaled > midpoint) code++;
      codes[i >> 1] |= i & 1 ? code : code << 4;
    }
  }
  return { codes, absmax };
}
