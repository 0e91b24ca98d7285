import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editConfigText, parseConfigText } from './config-text';

describe('the text of a config', () => {
  const text = `{
  "softcap": 30.0,
  "epsilon": 1e-05, "tiny": 1E-7,
  "nested": {"a, \\"b\\": }": [1.0, {"dtype": "x"}], "limit": [0.0, Infinity]},
  "dtype": "float16",
  "empty": {}
}`;

  it('keeps the numbers that it has as they are written', () => {
    expect(editConfigText(text, { dtype: 'float32', added: { list: [1, 'a'] }, epsilon: undefined })).toBe(`{
  "softcap": 30.0,
  "tiny": 1E-7,
  "nested": {"a, \\"b\\": }": [1.0, {"dtype": "x"}], "limit": [0.0, Infinity]},
  "dtype": "float32",
  "empty": {},
  "added": {
    "list": [
      1,
      "a"
    ]
  }
}
`);
  });

  it('means what it meant, but for the changes', () => {
    const value = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(value, value, fc.constantFrom(undefined, 2, '\t'), (before, changes, space) => {
        const edited = editConfigText(JSON.stringify(before, null, space), changes);
        expect(parseConfigText(edited)).toEqual(JSON.parse(JSON.stringify({ ...before, ...changes })));
        const removed = Object.fromEntries(Object.keys(before).map((key) => [key, undefined]));
        expect(JSON.parse(editConfigText(edited, removed))).toEqual(
          JSON.parse(JSON.stringify({ ...before, ...changes, ...removed })),
        );
      }),
    );
  });

  it('is read with the numbers of Python that JSON does not have', () => {
    expect(parseConfigText('{"a": [Infinity, -Infinity, NaN, "NaN, Infinity"], "NaN": 1}')).toEqual({
      a: [null, null, null, 'NaN, Infinity'],
      NaN: 1,
    });
  });

  it.each(['', '[]', '7', 'null', '{"a":}', '{"a": infinity}'])(
    'is refused if it is no object: %j',
    (bad) => {
      expect(() => parseConfigText(bad, 'x/config.json')).toThrow(/^x\/config\.json: is no JSON/);
      expect(() => editConfigText(bad, {})).toThrow(/^config\.json: is no JSON/);
    },
  );
});
