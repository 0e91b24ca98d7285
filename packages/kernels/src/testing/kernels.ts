// The compute module on a memory of its own, for tests: kernels called as threads call them, in parts and in any order,
// with garbage in scratch and in every output, and with an eye on what they must not touch.
import { features } from '../features';
import { computeRelaxed } from '../generated/compute-relaxed';
import { computeSimd } from '../generated/compute-simd';
import { compile, instantiate, MAX_PAGES } from '../instantiate';

/** Relative rounding error of f32, half an ulp. */
export const U = 2 ** -24;

/** A build to test. */
export interface Build {
  readonly name: string;
  readonly base64: string;
  /** Whether multiply-adds are rounded once. */
  readonly fused: boolean;
}

/** The builds that this engine runs. */
export const BUILDS: readonly Build[] = [
  { name: 'simd', base64: computeSimd, fused: false },
  ...(features().relaxed ? [{ name: 'relaxed', base64: computeRelaxed, fused: true }] : []),
];

type Exports = Record<string, (...args: number[]) => number>;
type Numbers = Float32Array | Int32Array | Float64Array;
type NumbersClass<T extends Numbers> = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, offset: number, length: number): T;
};

/** Memory for a kernel to write, with what it held before. */
interface Output {
  readonly address: number;
  readonly bytes: number;
}

const HEAP = 65536;
const GAP = 64;

/** One instance of a build. */
export class Kernels {
  readonly #memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES });
  readonly #exports: Exports;
  readonly #scratch: { address: number; bytes: number };
  #top = 0;
  #outputs: Output[] = [];

  constructor(build: Build) {
    this.#exports = instantiate(compile(build.base64, false), this.#memory) as Exports;
    const bytes = this.call('scratchBytes');
    this.#scratch = { address: HEAP, bytes };
    this.clear();
    this.#need(this.#top);
    this.call('setScratch', HEAP);
  }

  /** Forgets all that was placed. */
  clear(): void {
    this.#top = HEAP + this.#scratch.bytes;
    this.#outputs = [];
  }

  /** Result of an export. */
  call(name: string, ...args: number[]): number {
    return this.#exports[name]!(...args);
  }

  /** Address of a copy of `data`, at an odd place for vectors. */
  put(data: Numbers): number {
    const address = this.#take(data.byteLength, data instanceof Float64Array ? 8 : 4);
    this.bytes(address, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return address;
  }

  /** Address of numbers that a kernel may write; filled with garbage, or with what they hold before. */
  output(content: number | Numbers, elementBytes = 4): number {
    const bytes = typeof content === 'number' ? content * elementBytes : content.byteLength;
    const address = typeof content === 'number' ? this.#take(bytes, elementBytes) : this.put(content);
    if (typeof content === 'number') this.bytes(address, bytes).fill(0xff);
    this.#outputs.push({ address, bytes });
    return address;
  }

  /** A copy of numbers in memory. */
  get<T extends Numbers>(kind: NumbersClass<T>, address: number, length: number): T {
    return new kind(this.#memory.buffer, address, length).slice() as T;
  }

  /**
   * Runs a kernel over all units at once; then again one unit at a time from the last to the first, and again in parts
   * cut at random, each time with other garbage in scratch.
   * @throws Error unless all three wrote the same bytes, and nothing but outputs.
   */
  run(kernel: string, args: readonly number[], units: number, seed: number): void {
    const heap = this.bytes(
      this.#scratch.address + this.#scratch.bytes,
      this.#top - HEAP - this.#scratch.bytes,
    );
    const before = heap.slice();
    this.#soil(0xff);
    this.call(kernel, ...args, 0, units);
    const whole = heap.slice();
    this.#checkUntouched(kernel, before, whole);
    const singly = Array.from({ length: units }, (_, i) => [units - 1 - i, units - i] as const);
    for (const [how, parts] of [
      ['unit by unit', singly],
      ['in random parts', cut(units, seed)],
    ] as const) {
      heap.set(before);
      this.#soil(how.length);
      for (const [begin, end] of parts) this.call(kernel, ...args, begin, end);
      if (Buffer.compare(whole, heap) !== 0) throw new Error(`${kernel}: other bytes when run ${how}`);
    }
  }

  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, address, length);
  }

  #soil(byte: number): void {
    this.bytes(this.#scratch.address, this.#scratch.bytes).fill(byte);
  }

  #checkUntouched(kernel: string, before: Uint8Array, after: Uint8Array): void {
    const expected = before.slice();
    const start = HEAP + this.#scratch.bytes;
    for (const { address, bytes } of this.#outputs) {
      const at = address - start;
      expected.set(after.subarray(at, at + bytes), at);
    }
    if (Buffer.compare(expected, after) !== 0) throw new Error(`${kernel} wrote beside its outputs`);
  }

  #take(bytes: number, alignment: number): number {
    // Not at a multiple of 16: kernels may ask for no more than the alignment of an element.
    const address = this.#top + GAP + alignment;
    this.#top = Math.ceil((address + bytes) / 16) * 16 + GAP;
    this.#need(this.#top);
    return address;
  }

  #need(bytes: number): void {
    const missing = bytes - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / 65536));
  }
}

/** Parts of 0 to `units`, shuffled, of which some are empty. */
function cut(units: number, seed: number): [begin: number, end: number][] {
  const random = randomNumbers(seed);
  const cuts = Array.from({ length: 5 }, () => Math.floor(random() * (units + 1))).sort((a, b) => a - b);
  const edges = [0, ...cuts, units];
  const parts = edges.slice(1).map((end, i) => [edges[i]!, end] as [number, number]);
  return parts
    .map((part) => ({ part, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ part }) => part);
}

/** Numbers from 0 to 1 by a seed (mulberry32, public domain). */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Numbers of both signs, a few of them much larger, up to about 4 · `scale`. */
export function randomFloats(seed: number, length: number, scale = 1): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length }, () => {
    const value = (random() + random() - 1) * scale;
    return random() < 0.05 ? 4 * value : value;
  });
}

/**
 * Throws unless got and want agree: |got − want| ≤ bound(i) for every i, which is to be given relative to the terms that
 * made the number.
 */
export function checkClose(
  what: string,
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  bound: (i: number) => number,
): void {
  if (got.length !== want.length) throw new Error(`${what}: ${got.length} numbers, not ${want.length}`);
  for (let i = 0; i < want.length; i++) {
    const error = Math.abs(got[i]! - want[i]!);
    if (!(error <= bound(i) || Object.is(got[i], want[i]))) {
      throw new Error(`${what}[${i}] is ${got[i]}, not ${want[i]}: off by ${error}, allowed ${bound(i)}`);
    }
  }
}
