// The dynamic 8-bit data type of bitsandbytes (functional.py, create_dynamic_map; Dettmers 2015): a sign, a run of
// zeros that gives a decimal exponent from 0 to -6, and a linear fraction in the bits that are left.

let map: Float32Array | undefined;

/**
 * The 256 values of the signed dynamic map, ascending, in (-1, 1]. The same array on each call; do not write to it.
 */
export function createDynamicMap(): Float32Array {
  if (map) return map;
  const values = [0, 1];
  for (let i = 0; i < 7; i++) {
    const items = 2 ** i;
    const bounds = linspace(items + 1);
    for (let j = 0; j < items; j++) {
      // The mean and the power of ten are rounded to f32 where PyTorch rounds them.
      const mean = Math.fround(Math.fround(bounds[j]! + bounds[j + 1]!) / 2);
      const value = Math.fround(Math.fround(10 ** (i - 6)) * mean);
      values.push(value, -value);
    }
  }
  map = Float32Array.from(values.sort((a, b) => a - b));
  return map;
}

/** `count` values from 0.1 to 1, as torch.linspace gives them in f32: from both ends towards the middle, by fused multiply-adds. */
function linspace(count: number): Float32Array {
  const start = Math.fround(0.1);
  const step = Math.fround(Math.fround(1 - start) / (count - 1));
  return Float32Array.from({ length: count }, (_, i) =>
    i < count >> 1 ? Math.fround(start + step * i) : Math.fround(1 - step * (count - 1 - i)),
  );
}
