// The codec module on a small memory of its own, made on first use: arrays of any length go through its windows part by
// part, and the windows stay in the processor's cache. The functions over it (codec-*.ts) do the work and return true; where
// there is no WebAssembly or no SIMD they do nothing and return false, and the caller's plain TypeScript runs.
import { codecSimd } from './generated/codec-simd';
import { compile, instantiate } from './instantiate';

/** f32 values that fit the window. */
export const WINDOW = 16384;

/** Where things lie in the memory. */
export const AT = {
  // Below are the module's own constants.
  /** Tables of a codebook, its values, or the map of double quantization. */
  table: 2048,
  /** Scales of what is in the window, and their magnitudes. */
  scales: 4096,
  peaks: 8192,
  /** The levels of the mean. */
  levels: 12288,
  /** What is narrower than f32: codes, bytes, 16-bit floats. 32 KiB. */
  narrow: 32768,
  /** f32 values: 64 KiB. */
  wide: 65536,
  /** The bins of double quantization: 64 KiB. */
  bins: 131072,
} as const;

const PAGES = 3;

/** Functions of assembly/codec, which says what they do. Addresses are in bytes. */
export interface CodecExports {
  readonly peak32: (values: number, bytes: number) => number;
  readonly peak16: (bits: number, bytes: number) => number;
  readonly absmax: (values: number, scales: number, blocks: number, blockSize: number) => void;
  readonly centre: (
    values: number,
    middles: number,
    scales: number,
    blocks: number,
    blockSize: number,
  ) => void;
  readonly encode: (
    values: number,
    scales: number,
    peaks: number,
    codes: number,
    blocks: number,
    blockSize: number,
    table: number,
    extra: number,
    ordered: number,
  ) => void;
  readonly decode: (
    codes: number,
    scales: number,
    values: number,
    blocks: number,
    blockSize: number,
    codebook: number,
  ) => void;
  readonly encodeDouble: (
    scales: number,
    codes: number,
    nested: number,
    blocks: number,
    blockSize: number,
    offset: number,
    bins: number,
  ) => void;
  readonly decodeDouble: (
    codes: number,
    nested: number,
    scales: number,
    count: number,
    blockSize: number,
    offset: number,
    map: number,
  ) => void;
  readonly addRows: (rows: number, count: number, level: number) => void;
  readonly addSteps: (rows: number, steps: number, power: number, levels: number, before: number) => void;
  readonly widenF16: (bits: number, values: number, count: number) => void;
  readonly widenBf16: (bits: number, values: number, count: number) => void;
  readonly narrowF16: (values: number, bits: number, count: number) => void;
  readonly narrowBf16: (values: number, bits: number, count: number) => void;
  readonly encodeQ8: (values: number, bytes: number, blocks: number, scales: number, halves: number) => void;
  readonly decodeQ8: (bytes: number, values: number, blocks: number, scales: number, halves: number) => void;
}

/** The running module and views of its memory, which never grows. */
export interface Codec extends CodecExports {
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly floats: Float32Array;
}

let known: Codec | false | undefined;

/** The codec module, or false where it cannot run: no WebAssembly, no SIMD, or a page that forbids compiling it. */
export function codec(): Codec | false {
  known ??= start();
  return known;
}

function start(): Codec | false {
  try {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
    const exports = instantiate(compile(codecSimd, false), memory) as unknown as CodecExports;
    const { buffer } = memory;
    return {
      ...exports,
      bytes: new Uint8Array(buffer),
      halves: new Uint16Array(buffer),
      floats: new Float32Array(buffer),
    };
  } catch {
    return false;
  }
}

/** Calls `body` with the start and length of each part of `count` that is at most `most` long. */
export function inParts(count: number, most: number, body: (start: number, length: number) => void): void {
  for (let start = 0; start < count; start += most) body(start, Math.min(most, count - start));
}

/**
 * Copies what a kernel made from the window into a result, at `start`.
 *
 * Every page is touched before it is copied to: a result is fresh memory, and a page that the system has to provide in the
 * middle of a large copy takes a third longer.
 */
export function put<T extends Float32Array | Uint16Array | Uint8Array>(
  result: T,
  start: number,
  part: T,
): void {
  const page = 4096 / result.BYTES_PER_ELEMENT;
  for (let i = start, end = start + part.length; i < end; i += page) result[i] = 0;
  result.set(part, start);
}
