// What double quantization gives: 8-bit codes of the scales, with scales of their own.

/** Block scales in 8 bits: value = map[code] × nestedAbsmax[block of blockSize] + offset. */
export interface DoubleQuantized {
  /** One code a scale. */
  readonly codes: Uint8Array;
  /** One scale a block of codes. */
  readonly nestedAbsmax: Float32Array;
  /** Codes that share a nested scale. bitsandbytes uses 256. */
  readonly blockSize: number;
  /** Mean of the scales, taken off before quantizing. */
  readonly offset: number;
  /** The 256 values that codes stand for, ascending, in [-1, 1]. */
  readonly map: Float32Array;
}
