// 256 codes of 2 bits in 64 bytes, as Q2_K and Q3_K lay them: each 128 codes take 32 bytes, a byte holds the codes that lie
// 32 apart.

/** Writes 256 codes, of which more than two bits touch their neighbours, to `bytes` at `to`. */
export function packPairs(codes: Uint8Array, bytes: Uint8Array, to: number): void {
  for (let half = 0; half < 2; half++) {
    for (let i = 128 * half; i < 128 * half + 32; i++) {
      bytes[to + i - 96 * half] =
        codes[i]! | (codes[i + 32]! << 2) | (codes[i + 64]! << 4) | (codes[i + 96]! << 6);
    }
  }
}

/** Code `i` of those that begin at `at`. */
export function pairOf(bytes: Uint8Array, at: number, i: number): number {
  return (bytes[at + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
}
