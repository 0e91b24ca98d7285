// The reader of JSON against JSON.parse where the two must agree, and against what only it refuses.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonReader } from './json-reader';

const readerOf = (text: string) =>
  new JsonReader(new TextEncoder().encode(text), (fault, what) => {
    throw new SyntaxError(`${fault}: ${what}`);
  });

/** A value by the reader's own parts, for comparison; numbers must be whole. */
function readValue(json: JsonReader): unknown {
  if (json.isObject()) {
    const pairs: [string, unknown][] = [];
    json.object((key) => pairs.push([key, readValue(json)]));
    return Object.fromEntries(pairs);
  }
  if (json.isList()) {
    const items: unknown[] = [];
    json.list(() => items.push(readValue(json)));
    return items;
  }
  return json.isString() ? json.string() : json.wholeNumber();
}

describe('what it reads', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 });
  const { value } = fc.letrec((again) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      text,
      fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      fc.array(again('value'), { maxLength: 5 }),
      fc.dictionary(text, again('value'), { maxKeys: 5 }),
    ),
  }));

  it('is what JSON.parse reads, with any spacing', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, ' ', '\t', 3), (expected, space) => {
        const json = readerOf(JSON.stringify(expected, null, space));
        const found = readValue(json);
        json.end();
        expect(JSON.stringify(found)).toBe(JSON.stringify(expected));
      }),
      { numRuns: 500 },
    );
  });

  it('is the same character whether it is written or escaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 8 }), (characters) => {
        const units = Array.from({ length: characters.length }, (_, i) => characters.charCodeAt(i));
        const escaped = units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
        expect(readerOf(`"${escaped}"`).string()).toBe(characters);
        expect(readerOf(JSON.stringify(characters)).string()).toBe(characters);
      }),
      { numRuns: 2000 },
    );
  });

  it('may be long', () => {
    for (const part of ['a', 'é', '\\n', '😀', '\\ud83d\\ude00']) {
      const long = `"${part.repeat(5000)}"`;
      expect(readerOf(long).string()).toBe(JSON.parse(long));
    }
  });
});

describe('what it passes over', () => {
  it('must be JSON, and is if JSON.parse takes it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        const json = readerOf(text);
        json.skip();
        json.end();
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    '',
    'nul',
    'True',
    '01',
    '1.',
    '.5',
    '+1',
    '-',
    '1e',
    '0x1',
    'NaN',
    '[1 2]',
    '{"a"}',
    '{a:1}',
    '[1,]',
    ']',
    '"a',
    '\u00a0',
  ])('and is refused otherwise: %s', (text) => {
    const body = () => {
      const json = readerOf(text);
      json.skip();
      json.end();
    };
    expect(() => JSON.parse(text)).toThrow();
    expect(body).toThrow(SyntaxError);
  });
});

describe('whole numbers', () => {
  it.each([
    ['0', 0],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['9007199254740992', Number.POSITIVE_INFINITY],
    ['9007199254740993', Number.POSITIVE_INFINITY],
    [`1${'0'.repeat(400)}`, Number.POSITIVE_INFINITY],
    ['-0', Number.NaN],
    ['1.0', Number.NaN],
    ['1e0', Number.NaN],
    ['1E0', Number.NaN],
    ['00', Number.NaN],
    ['x', Number.NaN],
    ['', Number.NaN],
  ])('%s is %d', (text, expected) => {
    expect(readerOf(text).wholeNumber()).toBe(expected);
  });
});
