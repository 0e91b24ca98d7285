// What every codec must do: the contract `Codec`, sentence by sentence, as cases that need no test framework.
import { type DType, firstNonFinite, fromFloat32, toFloat32 } from '@qlora/tensor';
import type { Codec } from '../contract';
import { type ConformanceCase, refusalOf, require, requireSame } from './case';
import { normals, VALUES } from './inputs';

const BLOCK_SIZES = [32, 64, 128, 256, 512, 1024, 2048, 4096];
// Nothing, a single value, odd counts, short blocks and whole ones, fewer values than a kernel is called for, and more
// than fit its window.
const COUNTS = [0, 1, 2, 31, 32, 33, 64, 127, 255, 256, 257, 1001, 4096, 4099, 16384 + 4096 + 77];
const FLOATS: readonly DType[] = ['f64', 'f32', 'f16', 'bf16'];

// f32 rounds where a value is scaled: a value this near to a midpoint may go to either side.
const ROUNDING = 1e-6;

// A scale below this need not be the block's own: bitsandbytes has a least one, and blocks of zeros have any.
const LEAST_SCALE = 1e-37;

/**
 * The largest distance of a number in [-1, 1] from the nearest entry of a codebook: half the widest gap, the ends among
 * them. A value comes back within this times its scale.
 */
export function codebookBound(codebook: Float32Array): number {
  const sorted = codebook.slice().sort();
  const gaps = [...sorted.subarray(1)].map((entry, i) => (entry - sorted[i]!) / 2);
  return Math.max(...gaps, 1 + sorted[0]!, 1 - sorted[sorted.length - 1]!);
}

/**
 * The cases that hold a codec to its contract.
 * @example
 * import { it } from 'vitest';
 * for (const { name, run } of codecCases(nf4)) it(name, run);
 */
export function codecCases(codec: Codec): ConformanceCase[] {
  const cases: ConformanceCase[] = [
    { name: 'has a name and a codebook of 16 values in [-1, 1]', run: () => checkBook(codec) },
    { name: 'has the largest magnitude of each block as its scale', run: () => checkScales(codec) },
    {
      name: 'gives each value the nearest entry of the codebook, within half its widest gap',
      run: () => checkNearest(codec),
    },
    { name: 'gives entries of the codebook back exactly', run: () => checkEntries(codec) },
    { name: 'puts the first value in the high nibble', run: () => checkPacking(codec) },
    { name: 'pads an odd count with the code of zero', run: () => checkPadding(codec) },
    { name: 'gives a block the same codes in any company', run: () => checkBlocksAlone(codec) },
    { name: 'takes nothing, and gives nothing', run: () => checkEmpty(codec) },
    { name: 'gives the same bytes twice, and leaves what it is given alone', run: () => checkPure(codec) },
    { name: 'takes views that begin anywhere', run: () => checkViews(codec) },
    { name: 'refuses too few codes or scales', run: () => checkTooFew(codec) },
  ];
  if (codec.quantize) {
    cases.push(
      { name: 'quantizes tensors of all float types as their values in f32', run: () => checkAtOnce(codec) },
      { name: 'gives a block with NaN or infinity a scale that shows it', run: () => checkNotFinite(codec) },
    );
  }
  return cases.map(({ name, run }) => ({ name: `${codec.name} ${name}`, run }));
}

/** Calls `body` with values of every kind, count and block size. */
function eachInput(body: (values: Float32Array, blockSize: number, where: string) => void): void {
  for (const [kind, make] of Object.entries(VALUES)) {
    for (const count of COUNTS) {
      const values = make(count);
      for (const blockSize of BLOCK_SIZES)
        body(values, blockSize, `${count} ${kind} values in blocks of ${blockSize}`);
    }
  }
}

function checkBook({ name, bitsPerValue, codebook }: Codec): void {
  require(name !== '', 'name', () => 'is empty');
  require(bitsPerValue === 4, 'bits per value', () => `are ${bitsPerValue} instead of 4`);
  require(codebook.length === 16, 'codebook', () => `has ${codebook.length} values instead of 16`);
  const outside = codebook.findIndex((entry) => !(Math.abs(entry) <= 1));
  require(outside < 0, 'codebook', () => `value ${outside} is ${codebook[outside]}, not in [-1, 1]`);
}

function checkScales(codec: Codec): void {
  eachInput((values, blockSize, where) => {
    const scales = codec.absmax(values, blockSize);
    const blocks = Math.ceil(values.length / blockSize);
    require(scales.length === blocks, where, () => `${scales.length} scales instead of ${blocks}`);
    for (let b = 0; b < blocks; b++) {
      const block = values.subarray(b * blockSize, (b + 1) * blockSize);
      const peak = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const scale = scales[b]!;
      const right = peak < LEAST_SCALE ? scale >= 0 && scale <= LEAST_SCALE : scale === peak;
      require(right, where, () => `scale ${b} is ${scale} instead of ${peak}`);
    }
  });
}

function checkNearest(codec: Codec): void {
  const sorted = codec.codebook.slice().sort();
  const bound = codebookBound(codec.codebook) + ROUNDING;
  eachInput((values, blockSize, where) => {
    const scales = codec.absmax(values, blockSize);
    const codes = codec.encode(values, scales, blockSize);
    const bytes = Math.ceil(values.length / 2);
    require(codes.length === bytes, where, () => `${codes.length} bytes of codes instead of ${bytes}`);
    const decoded = codec.decode(codes, scales, blockSize, values.length);
    require(decoded.length === values.length, where, () =>
      `${decoded.length} values come back, not ${values.length}`);
    values.forEach((value, i) => {
      const scale = scales[Math.floor(i / blockSize)]!;
      const error = Math.abs(value - decoded[i]!);
      if (scale <= LEAST_SCALE) {
        require(error <= LEAST_SCALE, where, () => `value ${i} is ${value} and comes back as ${decoded[i]}`);
        return;
      }
      const least = distance(sorted, value / scale) + ROUNDING;
      require(error <= least * scale && error <= bound * scale, where, () =>
        `value ${i} is ${value} and comes back as ${decoded[i]}, off by more than ${least * scale}`);
    });
  });
}

/** Distance of a number from the nearest entry. */
function distance(sorted: Float32Array, value: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (const entry of sorted) least = Math.min(least, Math.abs(entry - value));
  return least;
}

function checkEntries(codec: Codec): void {
  for (const scale of [1, 0.7, 3e-5, 1234.5].map(Math.fround)) {
    // Enough of them for a kernel, and a block of each kind.
    const values = Float32Array.from({ length: 1040 }, (_, i) => codec.codebook[i % 16]! * scale);
    for (const blockSize of [32, 64, 1024]) {
      const scales = new Float32Array(Math.ceil(values.length / blockSize)).fill(scale);
      const back = codec.decode(codec.encode(values, scales, blockSize), scales, blockSize, values.length);
      const wrong = back.findIndex((value, i) => value !== values[i]);
      require(wrong < 0, `entries times ${scale} in blocks of ${blockSize}`, () =>
        `${values[wrong]} comes back as ${back[wrong]}`);
    }
  }
}

function checkPacking(codec: Codec): void {
  const codes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  for (const count of [512, 511, 66, 3, 1]) {
    const scales = Float32Array.from({ length: 16 }, (_, b) => 1 + b / 3);
    const values = codec.decode(codes.subarray(0, Math.ceil(count / 2)), scales, 32, count);
    for (let i = 0; i < count; i++) {
      const byte = i >> 1;
      const code = i % 2 === 0 ? byte >> 4 : byte & 15;
      const wanted = Math.fround(codec.codebook[code]! * scales[i >> 5]!);
      require(values[i] === wanted, `byte ${byte}`, () =>
        `value ${i} is ${values[i]} instead of entry ${code}, ${wanted}`);
    }
  }
}

function checkPadding(codec: Codec): void {
  const least = codec.codebook.reduce((most, entry) => Math.min(most, Math.abs(entry)), 1);
  eachInput((values, blockSize, where) => {
    if (values.length % 2 === 0) return;
    const codes = codec.encode(values, codec.absmax(values, blockSize), blockSize);
    const code = codes[codes.length - 1]! & 15;
    const entry = codec.codebook[code]!;
    require(Math.abs(entry) === least, where, () =>
      `the last code is ${code}, which stands for ${entry} and not for what is nearest to 0`);
  });
}

function checkBlocksAlone(codec: Codec): void {
  eachInput((values, blockSize, where) => {
    const scales = codec.absmax(values, blockSize);
    const codes = codec.encode(values, scales, blockSize);
    const decoded = codec.decode(codes, scales, blockSize, values.length);
    // The first blocks, and the last ones.
    for (let b = 0; b < scales.length; b += b === 2 && scales.length > 6 ? scales.length - 5 : 1) {
      const [start, end] = [b * blockSize, Math.min((b + 1) * blockSize, values.length)];
      const block = values.subarray(start, end);
      const scale = scales.subarray(b, b + 1);
      requireSame(codec.absmax(block, blockSize), scale, `${where}: scale of block ${b} alone`);
      const packed = codes.subarray(start / 2, Math.ceil(end / 2));
      requireSame(codec.encode(block, scale, blockSize), packed, `${where}: codes of block ${b} alone`);
      const alone = codec.decode(packed, scale, blockSize, block.length);
      requireSame(alone, decoded.subarray(start, end), `${where}: values of block ${b} alone`);
    }
  });
}

function checkEmpty(codec: Codec): void {
  const nothing = new Float32Array();
  require(codec.absmax(nothing, 64).length === 0, 'no values', () => 'have scales');
  require(codec.encode(nothing, nothing, 64).length === 0, 'no values', () => 'have codes');
  require(codec.decode(new Uint8Array(), nothing, 64, 0).length === 0, 'no codes', () => 'have values');
}

function checkPure(codec: Codec): void {
  eachInput((values, blockSize, where) => {
    const before = values.slice();
    const scales = codec.absmax(values, blockSize);
    const kept = scales.slice();
    const codes = codec.encode(values, scales, blockSize);
    const keptCodes = codes.slice();
    const decoded = codec.decode(codes, scales, blockSize, values.length);
    requireSame(values, before, `${where}: the values that were given`);
    requireSame(scales, kept, `${where}: the scales that were given`);
    requireSame(codes, keptCodes, `${where}: the codes that were given`);
    requireSame(codec.absmax(values, blockSize), scales, `${where}: scales, again`);
    requireSame(codec.encode(values, scales, blockSize), codes, `${where}: codes, again`);
    requireSame(codec.decode(codes, scales, blockSize, values.length), decoded, `${where}: values, again`);
  });
}

function checkViews(codec: Codec): void {
  eachInput((values, blockSize, where) => {
    const shifted = <T extends Float32Array | Uint8Array>(array: T, offset: number): T => {
      const room = new Uint8Array(array.byteLength + 64);
      const Kind = array.constructor as new (buffer: ArrayBufferLike, at: number, length: number) => T;
      const view = new Kind(room.buffer, offset, array.length);
      view.set(array);
      return view;
    };
    const scales = codec.absmax(values, blockSize);
    const codes = codec.encode(values, scales, blockSize);
    const moved = shifted(values, 4);
    const movedScales = shifted(scales, 12);
    const decoded = codec.decode(codes, scales, blockSize, values.length);
    requireSame(codec.absmax(moved, blockSize), scales, `${where}: scales of a view`);
    requireSame(codec.encode(moved, movedScales, blockSize), codes, `${where}: codes of a view`);
    const back = codec.decode(shifted(codes, 3), movedScales, blockSize, values.length);
    requireSame(back, decoded, `${where}: values of a view`);
  });
}

function checkTooFew(codec: Codec): void {
  for (const count of [65, 1000]) {
    const values = normals(count);
    const scales = codec.absmax(values, 64);
    const codes = codec.encode(values, scales, 64);
    refusalOf(() => codec.decode(codes.subarray(1), scales, 64, count), 'codes without the first byte');
    refusalOf(() => codec.decode(codes, scales.subarray(1), 64, count), 'scales without the first one');
  }
}

function checkAtOnce(codec: Codec): void {
  eachInput((values, blockSize, where) => {
    for (const dtype of FLOATS) {
      const source = fromFloat32(dtype, [values.length], values);
      // Large values become infinity in f16.
      if (firstNonFinite(source) >= 0) continue;
      const single = toFloat32(source);
      const given = codec.quantize?.(source, blockSize);
      if (!given) continue;
      const scales = codec.absmax(single, blockSize);
      requireSame(given.absmax, scales, `${where}, as ${dtype}: scales`);
      requireSame(given.codes, codec.encode(single, scales, blockSize), `${where}, as ${dtype}: codes`);
    }
  });
}

function checkNotFinite(codec: Codec): void {
  const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const count of [3, 70, 1000, 4096]) {
    for (const index of [0, 1, 31, 64, 69, 900, count - 1].filter((i) => i < count)) {
      for (const value of bad) {
        for (const dtype of FLOATS) {
          const values = normals(count);
          values[index] = value;
          const given = codec.quantize?.(fromFloat32(dtype, [count], values), 64);
          if (!given) continue;
          const scale = given.absmax[Math.floor(index / 64)];
          require(!Number.isFinite(scale), `${value} as value ${index} of ${count}, ${dtype}`, () =>
            `its block has the scale ${scale}`);
        }
      }
    }
  }
}
