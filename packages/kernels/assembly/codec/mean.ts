// The sums behind the mean of double quantization, in the order of @qlora/double-quant's mean.ts: rows of 32 columns are
// added up in a cascade of four levels, each taking over from the one below when that is full. The levels lie in memory,
// 32 f32 each, so that rows can come in parts.

const LEVEL: usize = 128; // bytes of a level, and of a row

/** Adds `count` rows to a level. */
export function addRows(rows: usize, count: i32, level: usize): void {
  let a = v128.load(level), b = v128.load(level, 16), c = v128.load(level, 32), d = v128.load(level, 48);
  let e = v128.load(level, 64), f = v128.load(level, 80), g = v128.load(level, 96), h = v128.load(level, 112);
  for (const end = rows + <usize>count * LEVEL; rows < end; rows += LEVEL) {
    a = f32x4.add(a, v128.load(rows));
    b = f32x4.add(b, v128.load(rows, 16));
    c = f32x4.add(c, v128.load(rows, 32));
    d = f32x4.add(d, v128.load(rows, 48));
    e = f32x4.add(e, v128.load(rows, 64));
    f = f32x4.add(f, v128.load(rows, 80));
    g = f32x4.add(g, v128.load(rows, 96));
    h = f32x4.add(h, v128.load(rows, 112));
  }
  v128.store(level, a), v128.store(level, b, 16), v128.store(level, c, 32), v128.store(level, d, 48);
  v128.store(level, e, 64), v128.store(level, f, 80), v128.store(level, g, 96), v128.store(level, h, 112);
}

/**
 * Adds `steps` times 2^power rows. After each, a level moves into the next as long as the one above it is full too.
 * @param before rows that were added before.
 */
export function addSteps(rows: usize, steps: i32, power: i32, levels: usize, before: i32): void {
  const step = 1 << power;
  for (let row = before, end = before + steps * step; row < end; ) {
    addRows(rows, step, levels);
    rows += <usize>step * LEVEL;
    row += step;
    for (let level = 1; level < 4; level++) {
      const from = levels + <usize>(level - 1) * LEVEL;
      addRows(from, 1, from + LEVEL);
      memory.fill(from, 0, LEVEL);
      if ((row >> (power * level)) & (step - 1)) break;
    }
  }
}
