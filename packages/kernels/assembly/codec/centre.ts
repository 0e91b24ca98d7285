// Blocks moved so that their range lies around zero, for quantization with zero points. Values are finite.

/**
 * Takes off each block, a multiple of 16 values, the middle of its range, in place.
 *
 * @param middles the middles, never -0; @param scales the largest distances from them.
 */
export function centre(values: usize, middles: usize, scales: usize, blocks: i32, blockSize: i32): void {
  const bytes = <usize>blockSize << 2;
  for (const end = middles + (<usize>blocks << 2); middles < end; middles += 4, scales += 4) {
    let least = v128.load(values);
    let most = least;
    for (let i: usize = 16; i < bytes; i += 16) {
      const four = v128.load(values + i);
      least = f32x4.pmin(least, four);
      most = f32x4.pmax(most, four);
    }
    least = f32x4.pmin(least, i32x4.shuffle(least, least, 2, 3, 0, 1));
    least = f32x4.pmin(least, i32x4.shuffle(least, least, 1, 0, 3, 2));
    most = f32x4.pmax(most, i32x4.shuffle(most, most, 2, 3, 0, 1));
    most = f32x4.pmax(most, i32x4.shuffle(most, most, 1, 0, 3, 2));
    const low = f32x4.extract_lane(least, 0);
    const high = f32x4.extract_lane(most, 0);
    const middle = <f32>(<f64>low / 2 + <f64>high / 2) + <f32>0;
    store<f32>(middles, middle);
    // Rounding keeps order: the largest distance is that of an end.
    store<f32>(scales, max(abs(low - middle), abs(high - middle)));
    const four = f32x4.splat(middle);
    for (const last = values + bytes; values < last; values += 16) {
      v128.store(values, f32x4.sub(v128.load(values), four));
    }
  }
}
