// Bytes changed blindly, and what changes that know a format are made of. The order in which random numbers are drawn is part
// of what a seed means: with another, a case that failed cannot be made again.
import type { Random } from '@qlora/tensor';

/** One of the items, which must not be none. */
export function pick<T>(rng: Random, items: readonly T[]): T {
  return items[rng.integer(items.length)] as T;
}

/** A place in something of that length; 0, and no number drawn, where it is empty. */
export function place(rng: Random, length: number): number {
  return length === 0 ? 0 : rng.integer(length);
}

/** The parts, one after the other. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Strings with their escapes, numbers and words, and single other characters. They make up the whole text. */
export function jsonTokens(text: string): string[] {
  return text.match(/"(?:[^"\\]|\\.)*"|[-+.\w]+|[\s\S]/gu) ?? [];
}

/** What a format adds to blind changes. */
export interface BlindChanges {
  /** Bytes at the edges of what the format holds, that one byte is changed into. */
  readonly bytes: readonly number[];
  /** Numbers of 64 bits, little endian, that are put in the place of eight bytes; by default none are. */
  readonly numbers?: readonly bigint[];
  /** Half of the changes are in so many bytes from the beginning; by default the whole file is alike. */
  readonly head?: number;
}

/** Bytes changed in one place without knowing what they are. The result is a copy. */
export function mutateBytes(
  bytes: Uint8Array,
  rng: Random,
  { bytes: edges, numbers, head }: BlindChanges,
): Uint8Array<ArrayBuffer> {
  const at = place(rng, head && rng.integer(2) ? Math.min(bytes.length, head) : bytes.length);
  const length = 1 + rng.integer(pick(rng, [4, 32, 512]));
  const splice = (drop: number, put: Uint8Array) =>
    joined(bytes.subarray(0, at), put, bytes.subarray(at + drop));
  const noise = Uint8Array.from({ length }, () => rng.integer(256));
  switch (rng.integer(numbers ? 8 : 7)) {
    case 0: {
      const copy = bytes.slice();
      if (copy.length > 0) copy[at] = (copy[at] as number) ^ (1 << rng.integer(8));
      return copy;
    }
    case 1:
      return splice(1, Uint8Array.of(pick(rng, edges)));
    case 2:
      return bytes.slice(0, at); // cut off
    case 3:
      return splice(length, new Uint8Array(0)); // cut out
    case 4:
      return splice(0, noise);
    case 5:
      return splice(length, noise);
    case 6:
      if (numbers) return splice(8, u64(pick(rng, numbers)));
  }
  const from = place(rng, bytes.length);
  return splice(0, bytes.subarray(from, from + length)); // something that is there already
}

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}
