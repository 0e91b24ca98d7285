// One f16 at a time. Rounding is to nearest, ties to even.

/** The f16 bit pattern nearest to a value that is not NaN; that of a NaN is 0x7e00 with its sign. */
export function toHalf(value: f32): u32 {
  const bits = reinterpret<u32>(value);
  const sign = (bits >> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Next to 0.5 the unit of f32 is 2^-24, that of f16's denormals.
    const sum = reinterpret<f32>(magnitude) + <f32>0.5;
    return sign | (reinterpret<u32>(sum) - 0x3f000000);
  }
  return sign | ((magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13);
}

/** The value of an f16 bit pattern. Every NaN becomes the one that JavaScript writes. */
export function fromHalf(half: u32): f32 {
  const magnitude = half & 0x7fff;
  const sign = (half & 0x8000) << 16;
  if (magnitude > 0x7c00) return reinterpret<f32>(0x7fc00000);
  if (magnitude == 0x7c00) return reinterpret<f32>(sign | 0x7f800000);
  if (magnitude >= 0x400) return reinterpret<f32>(sign | ((magnitude << 13) + 0x38000000));
  const small = <f32>magnitude * reinterpret<f32>(0x33800000); // 2^-24
  return sign ? -small : small;
}
