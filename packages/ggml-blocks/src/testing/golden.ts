// What ggml's own library makes of the distributions (goldens/blocks.json), and how it is compared.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bytesOf } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { blockTypeOf } from '../registry';
import { distributions, importances, words } from './distributions';

/** Digests of the blocks of the first values, of all, and of the values of all blocks; null where ggml refuses them. */
type Digests = readonly [short: string | null, long: string | null, decoded: string | null];

interface Golden {
  readonly short: number;
  readonly long: number;
  readonly row: number;
  readonly values: Readonly<Record<string, string>>;
  readonly importances: Readonly<Record<string, string>>;
  readonly anyBytes: Readonly<Record<string, string>>;
  readonly types: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Digests>>>>>>;
}

const golden = JSON.parse(readFileSync(new URL('../goldens/blocks.json', import.meta.url), 'utf8')) as Golden;

const digest = (data: ArrayBufferView) =>
  createHash('sha256').update(bytesOf(data)).digest('hex').slice(0, 12);

/** Tests every type against the golden, on the first 8192 values of each distribution or on all 131072. */
export function testGoldens(part: 'short' | 'long'): void {
  const count = golden[part];
  const rows = distributions(count);
  const weights = importances(golden.row);

  it('the values and importances are those of the golden', () => {
    const made = Object.fromEntries(Object.entries(weights).map(([key, row]) => [key, digest(row)]));
    expect(made).toEqual(golden.importances);
    if (part === 'short') return;
    expect(Object.fromEntries(Object.entries(rows).map(([key, values]) => [key, digest(values)]))).toEqual(
      golden.values,
    );
  });

  describe.each(Object.entries(golden.types))('%s', (name, kinds) => {
    const type = blockTypeOf(name);
    it('decodes any bytes to the values that ggml decodes them to', () => {
      const bytes = Uint8Array.from(words(31, 4096 * type.blockBytes), (word) => word >>> 24);
      // JavaScript leaves the bits of a computed NaN open.
      const values = type.decode(bytes).map((value) => (Number.isNaN(value) ? Number.NaN : value));
      expect(digest(values)).toBe(golden.anyBytes[name]);
    });
    it.each(Object.entries(kinds))('makes the blocks that ggml makes: %s', (key, digests) => {
      for (const [kind, [short, long, decoded]] of Object.entries(digests)) {
        const options = { importance: weights[kind] };
        const expected = part === 'short' ? short : long;
        if (expected === null) {
          expect(() => type.encode(rows[key]!, options), kind).toThrow(/scale that is not finite/);
          continue;
        }
        const bytes = type.encode(rows[key]!, options);
        expect(digest(bytes), kind).toBe(expected);
        expect(type.firstInvalid(bytes)).toBe(-1);
        if (part === 'long') expect(digest(type.decode(bytes)), kind).toBe(decoded);
      }
    });
  });
}
