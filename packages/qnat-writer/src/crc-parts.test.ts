// The checksum of bytes that come in parts.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CrcParts, crc32Combine } from './crc-parts';
import { crc32 } from './header';

const content = fc.uint8Array({ maxLength: 300 });

describe('two checksums', () => {
  it('combine to that of both parts', () => {
    fc.assert(
      fc.property(content, content, (a, b) => {
        expect(crc32Combine(crc32(a), crc32(b), b.length)).toBe(crc32(Uint8Array.of(...a, ...b)));
      }),
    );
  });

  it('combine where the second part is longer than 2^32 bytes', () => {
    // Zeros, doubled: of 2^n bytes from those of 2^(n − 1).
    let zeros = crc32(new Uint8Array(1));
    let length = 1;
    for (; length < 2 ** 34; length *= 2) zeros = crc32Combine(zeros, zeros, length);
    const first = crc32(Uint8Array.of(1, 2, 3));
    const half = 2 ** 33;
    let halfZeros = crc32(new Uint8Array(1));
    for (let n = 1; n < half; n *= 2) halfZeros = crc32Combine(halfZeros, halfZeros, n);
    const inTwo = crc32Combine(crc32Combine(first, halfZeros, half), halfZeros, half);
    expect(crc32Combine(first, zeros, length)).toBe(inTwo);
    expect(inTwo).not.toBe(first);
  });
});

describe('parts in any order', () => {
  it('give the checksum of the whole, and only when all are there', () => {
    const cuts = fc.array(fc.nat(300), { maxLength: 12 });
    fc.assert(
      fc.property(content, cuts, fc.infiniteStream(fc.nat(1000)), (bytes, at, order) => {
        const bounds = [...new Set([0, ...at.filter((cut) => cut < bytes.length), bytes.length])];
        bounds.sort((a, b) => a - b);
        const parts = bounds.slice(1).map((end, i) => [bounds[i] ?? 0, end] as const);
        const keys = new Map(parts.map((part) => [part, order.next().value]));
        parts.sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
        const sum = new CrcParts(bytes.length);
        for (const [start, end] of parts) {
          expect(sum.crc32).toBeUndefined();
          expect(sum.add(start, bytes.subarray(start, end))).toBe(true);
        }
        expect([sum.crc32, sum.count]).toEqual([crc32(bytes), bytes.length]);
      }),
    );
  });

  it('are refused where they lie over others or outside, and change nothing', () => {
    const bytes = Uint8Array.from({ length: 10 }, (_, i) => i);
    const sum = new CrcParts(10);
    expect(sum.add(3, bytes.subarray(3, 6))).toBe(true);
    for (const [start, length] of [
      [3, 1],
      [2, 2],
      [5, 2],
      [0, 10],
      [8, 3],
      [-1, 1],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const)
      expect([start, sum.add(start, new Uint8Array(length))]).toEqual([start, false]);
    expect(sum.count).toBe(3);
    expect(sum.add(6, bytes.subarray(6)) && sum.add(0, bytes.subarray(0, 3))).toBe(true);
    expect(sum.crc32).toBe(crc32(bytes));
    expect(sum.add(0, bytes.subarray(0, 1))).toBe(false);
  });
});
