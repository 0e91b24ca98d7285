// f16 and bf16 to f32 and back, on raw bits. Rounding is to nearest, ties to even, as IEEE 754, PyTorch and ggml have
// it; f16 overflow gives infinity; NaN stays NaN (its payload is cut, and the quiet bit set).
//
// The scalar functions are the specification; the array forms (half-arrays.ts) give the same bits, faster.

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** The f32 value of a bf16 bit pattern. */
export function bf16ToF32(bits: number): number {
  u32[0] = bits << 16;
  return f32[0]!;
}

/** The bf16 bit pattern nearest to `value`. */
export function f32ToBf16(value: number): number {
  f32[0] = value;
  return bf16OfBits(u32[0]!);
}

/** The same for the bits of an f32 value: a NaN's bits can change on their way through a number. */
export function bf16OfBits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits >>> 16) | 0x40) & 0xffff;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The f32 value of an f16 bit pattern. */
export function f16ToF32(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The f16 bit pattern nearest to `value`. */
export function f32ToF16(value: number): number {
  f32[0] = value;
  return f16OfBits(u32[0]!);
}

/** The same for the bits of an f32 value. */
export function f16OfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and above round to infinity
  if (magnitude < 0x38800000) {
    // Below the smallest normal 2^-14: the unit is 2^-24. The division is exact, the rounding is ours.
    u32[0] = magnitude;
    const units = f32[0]! * 2 ** 24;
    const low = Math.floor(units);
    const rest = units - low;
    return sign | (rest > 0.5 || (rest === 0.5 && low & 1) ? low + 1 : low);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}
