// The checksum of bytes that come in parts, in any order. The checksum of two parts that follow one another can be had from
// theirs and the length of the second: a CRC is the remainder of a polynomial, and bytes behind a part multiply its
// remainder by x^8 each (Mark Adler's crc32_combine in zlib does the same).
import { crc32 } from './header';

const POLYNOMIAL = 0xedb88320;
/** x^0 and x^8 as remainders: bits are reflected, so that x^0 is the highest one. */
const ONE = 0x80000000;
const BYTE = 0x00800000;

/** The product of two remainders. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = ONE, shifted = b; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}

/** The checksum of a part and one of `length` bytes behind it, from the checksums of both. */
export function crc32Combine(first: number, second: number, length: number): number {
  let factor = ONE;
  for (let power = BYTE, left = length; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) factor = multiply(factor, power);
    power = multiply(power, power);
  }
  return (multiply(factor, first) ^ second) >>> 0;
}

interface Run {
  readonly start: number;
  readonly end: number;
  readonly crc32: number;
}

/** Bytes of a known length that come in parts: which are there, and their checksum once all are. */
export class CrcParts {
  readonly length: number;
  /** In order, never touching. */
  #runs: Run[] = [];

  constructor(length: number) {
    this.length = length;
  }

  /** Bytes that are there. */
  get count(): number {
    return this.#runs.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** The checksum of all bytes, or undefined as long as some are missing. */
  get crc32(): number | undefined {
    if (this.length === 0) return 0;
    const [run] = this.#runs;
    return run && run.end - run.start === this.length ? run.crc32 : undefined;
  }

  /** Takes a part. @returns false, and takes nothing, if it lies outside, or over one that is there. */
  add(start: number, bytes: Uint8Array): boolean {
    const end = start + bytes.length;
    if (!Number.isSafeInteger(start) || start < 0 || end > this.length) return false;
    if (bytes.length === 0) return true;
    const after = this.#runs.findIndex((run) => run.end > start);
    const at = after < 0 ? this.#runs.length : after;
    const next = this.#runs[at];
    const previous = this.#runs[at - 1];
    if (next && next.start < end) return false;
    let run: Run = { start, end, crc32: crc32(bytes) };
    const joinsNext = next?.start === end;
    const joinsPrevious = previous?.end === start;
    if (joinsPrevious) run = join(previous, run);
    if (joinsNext) run = join(run, next);
    this.#runs.splice(joinsPrevious ? at - 1 : at, Number(joinsPrevious) + Number(joinsNext), run);
    return true;
  }
}

function join(first: Run, second: Run): Run {
  const length = second.end - second.start;
  return {
    start: first.start,
    end: second.end,
    crc32: crc32Combine(first.crc32, second.crc32, length),
  };
}
