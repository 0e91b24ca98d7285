// Values that make_block_goldens.py (tooling/conformance/llama-cpp) makes too, bit for bit: integers of a generator, and f32
// operations that IEEE 754 defines.

const { fround } = Math;

/** `count` steps of a linear congruential generator, 32 bits each. */
export function words(seed: number, count: number): Uint32Array {
  let state = seed;
  return Uint32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  });
}

/** From -1 to 1, evenly. */
function signed(seed: number, count: number): Float32Array {
  return Float32Array.from(words(seed, count), (word) => fround(word - 2 ** 31) * 2 ** -31);
}

/** Sums of eight even numbers, a deviation of 0.02 about. */
function bell(seed: number, count: number): Float32Array {
  const list = words(seed, 8 * count);
  return Float32Array.from({ length: count }, (_, i) => {
    let sum = -(2 ** 26);
    for (let j = 8 * i; j < 8 * i + 8; j++) sum += list[j]! >>> 8;
    return fround(fround(sum) * 2 ** -24) * fround(0.0245);
  });
}

/** Powers of two with exponents from `low` to `high` - 1. */
function powers(seed: number, count: number, low: number, high: number): Float32Array {
  return Float32Array.from(words(seed, count), (word) => 2 ** (((word >>> 16) % (high - low)) + low));
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  return value - low > 0.5 || (value - low === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/** The first `count` values of each distribution, a multiple of 256. */
export function distributions(count: number): Record<string, Float32Array> {
  const even = signed(1, count);
  const normal = bell(2, count);
  const divisors = signed(4, count);
  const constants = bell(5, count / 256);
  const signs = words(6, count);
  const chosen = words(7, count);
  const sizes = powers(9, count / 32, -140, 16);
  const factors = powers(13, count / 256, 0, 100);
  const large = bell(12, count);
  return {
    uniform: even,
    normal,
    'heavy-tailed': bell(3, count).map((value, i) => value / fround(Math.abs(divisors[i]!) + 2 ** -10)),
    constant: normal.map((_, i) => constants[i >> 8]!),
    zeros: normal.map((_, i) => (signs[i]! >>> 31 ? -0 : 0)),
    sparse: normal.map((value, i) => (chosen[i]! >>> 28 === 0 ? value : 0)),
    'half zero': normal.map((value, i) => ((i >> 5) % 2 === 0 ? value : 0)),
    'every size': bell(8, count).map((value, i) => value * sizes[i >> 5]!),
    denormal: bell(10, count).map((value) => value * 2 ** -126),
    huge: signed(11, count).map((value) => value * 65000),
    'too large': large.map((value, i) => value * factors[i >> 8]!),
    positive: signed(14, count).map((value) => fround(Math.abs(value) * 0.5) + 0.5),
    negative: bell(15, count).map((value) => value - 3),
    ties: signed(16, count).map((value) => roundHalfEven(value * 8) / 8 + 0),
    'one large': normal.map((value, i) => (i % 256 === 77 ? 30 : value)),
  };
}

/** Importance of the columns of a row: squares, as a real matrix has them, and with zeros, tiny and large ones. */
export function importances(row: number): Record<string, Float32Array> {
  const squares = bell(21, row).map((value) => value * value);
  const gaps = words(22, row);
  const factors = powers(23, row, -60, 60);
  return {
    squares,
    wild: squares.map((square, i) => (gaps[i]! >>> 30 === 0 ? 0 : square * factors[i]!)),
  };
}
