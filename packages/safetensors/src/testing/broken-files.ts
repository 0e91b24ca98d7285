// Files that break a rule, at least one for each rule. `safetensors.test.ts` holds the reader to them, and
// tooling/conformance/safetensors the reference implementation.
import { MAX_AXES, MAX_METADATA } from '../header';
import type { SafetensorsRule } from '../rules';
import { entry, forge, forgeEntries } from './forge';

/** A file that must be refused. */
export interface BrokenFile {
  /** The rule that the refusal must name. */
  readonly rule: SafetensorsRule;
  /** What is wrong with it. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const zeros = (count: number) => `[${Array(count).fill('0').join()}]`;
const none = { offsets: '[0,0]' };

/** All of them. Names are unique. */
export const brokenFiles: readonly BrokenFile[] = (
  [
    ['header-too-small', 'no bytes at all', new Uint8Array(0)],
    ['header-too-small', 'seven bytes', new Uint8Array(7)],
    ['header-too-large', 'a header one byte above the limit', forge('{}', 0, 100_000_001n)],
    ['header-too-large', 'the largest header that eight bytes can say', forge('{}', 0, (1n << 64n) - 1n)],
    ['invalid-header-length', 'a header longer than the file', forge('{}', 0, 3n)],
    [
      'invalid-header-length',
      'a header of the largest length allowed, but not there',
      forge('{}', 0, 100_000_000n),
    ],
    ['invalid-header-length', 'the length and nothing after it', latin1('\x02\0\0\0\0\0\0\0')],
    ['invalid-header-start', 'no header', forge('')],
    ['invalid-header-start', 'whitespace before the header', forge(` {${entry()}}`, 4)],
    ['invalid-header-start', 'a byte order mark before the header', forge(`\ufeff{${entry()}}`, 4)],
    ['invalid-header-start', 'a list for a header', forge('[]')],
    ['invalid-header-start', 'a header of null', forge('null')],
    ['invalid-header-start', 'compressed data', forge(latin1('\x1f\x8b\x08\0\0'))],
    [
      'invalid-utf8',
      'a byte that UTF-8 does not have in a name',
      forge(latin1(`{${entry({ name: '\xff' })}}`), 4),
    ],
    ['invalid-utf8', 'a name cut inside a character', forge(latin1(`{${entry({ name: 'a\xc3' })}}`), 4)],
    ['invalid-utf8', 'an overlong encoding of NUL', forge(latin1(`{${entry({ name: '\xc0\x80' })}}`), 4)],
    ['invalid-utf8', 'half a surrogate pair in UTF-8', forge(latin1('{"__metadata__":{"\xed\xa0\x80":""}}'))],
    [
      'invalid-utf8',
      'a character above the last of Unicode',
      forge(latin1('{"__metadata__":{"a":"\xf4\x90\x80\x80"}}')),
    ],
    ['invalid-json', 'a header that ends too early', forge('{"a":{"dtype":"U8"')],
    ['invalid-json', 'an object that is not closed', forge('{')],
    ['invalid-json', 'a name that is not closed', forge('{"a')],
    ['invalid-json', 'no colon', forge('{"a" {}}')],
    ['invalid-json', 'no comma', forge(`{${entry()} ${entry({ name: 'b', ...none, shape: '[0]' })}}`, 4)],
    ['invalid-json', 'a comma at the end of the header', forge(`{${entry()},}`, 4)],
    ['invalid-json', 'a comma at the end of a list', forgeEntries([{ shape: '[4,]' }])],
    ['invalid-json', 'two headers', forge(`{${entry()}}{}`, 4)],
    ['invalid-json', 'a header padded with NUL', forge(`{${entry()}}\0\0`, 4)],
    ['invalid-json', 'a comment', forge(`{/**/${entry()}}`, 4)],
    ['invalid-json', 'a name in single quotes', forge("{'a':{}}")],
    ['invalid-json', 'a no-break space between the parts', forge(`{\u00a0${entry()}}`, 4)],
    ['invalid-json', 'a control character in a name', forgeEntries([{ name: 'a\x01' }])],
    ['invalid-json', 'a line break in a name', forgeEntries([{ name: 'a\n' }])],
    ['invalid-json', 'an escape that JSON does not have', forgeEntries([{ name: '\\x41' }])],
    ['invalid-json', 'an escape of three digits', forgeEntries([{ name: '\\u041' }])],
    ['invalid-json', 'the first half of a surrogate pair', forgeEntries([{ name: '\\ud83d' }])],
    ['invalid-json', 'the second half of a surrogate pair', forgeEntries([{ name: '\\ude00' }])],
    ['invalid-json', 'two first halves of surrogate pairs', forgeEntries([{ name: '\\ud83d\\ud83d' }])],
    [
      'duplicate-key',
      'two tensors of one name',
      forgeEntries([
        { shape: '[2]', offsets: '[0,2]' },
        { shape: '[2]', offsets: '[2,4]' },
      ]),
    ],
    ['duplicate-key', 'a tensor hidden behind another of its name', forgeEntries([{ dtype: '"I8"' }, {}])],
    [
      'duplicate-key',
      'a tensor hidden behind another of its name, wrong by itself',
      forgeEntries([{ shape: '[9]', offsets: '[7,4]' }, {}]),
    ],
    ['duplicate-key', 'one name written in two ways', forgeEntries([{ name: '\\u0061' }, {}])],
    [
      'duplicate-key',
      'two tensors called __proto__',
      forgeEntries([{ name: '__proto__' }, { name: '__proto__' }]),
    ],
    ['duplicate-key', 'a dtype that is there twice', forgeEntries([{ more: ',"dtype":"U8"' }])],
    ['duplicate-key', 'a shape that is there twice', forgeEntries([{ more: ',"shape":[4]' }])],
    ['duplicate-key', 'offsets that are there twice', forgeEntries([{ more: ',"data_offsets":[0,4]' }])],
    ['duplicate-key', 'metadata that is there twice', forge('{"__metadata__":{},"__metadata__":{}}')],
    ['duplicate-key', 'a key of metadata that is there twice', forge('{"__metadata__":{"a":"1","a":"2"}}')],
    ['invalid-metadata', 'metadata of a number', forge('{"__metadata__":{"a":1}}')],
    ['invalid-metadata', 'metadata of null', forge('{"__metadata__":{"a":null}}')],
    ['invalid-metadata', 'metadata in an object', forge('{"__metadata__":{"a":{"b":"c"}}}')],
    ['invalid-metadata', 'a list for metadata', forge('{"__metadata__":[]}')],
    ['invalid-metadata', 'null for metadata', forge('{"__metadata__":null}')],
    ['invalid-metadata', 'a tensor called __metadata__', forgeEntries([{ name: '__metadata__' }])],
    ['invalid-entry', 'a number for a tensor', forge('{"a":7}')],
    ['invalid-entry', 'null for a tensor', forge('{"a":null}')],
    ['invalid-entry', 'a tensor as a list', forge('{"a":["U8",[4],[0,4]]}', 4)],
    ['missing-field', 'no dtype', forgeEntries(['"a":{"shape":[4],"data_offsets":[0,4]}'])],
    ['missing-field', 'no shape', forgeEntries(['"a":{"dtype":"U8","data_offsets":[0,4]}'])],
    ['missing-field', 'no offsets', forgeEntries(['"a":{"dtype":"U8","shape":[4]}'])],
    ['missing-field', 'a tensor of nothing', forge('{"a":{}}')],
    ['unknown-field', 'a field that the format does not have', forgeEntries([{ more: ',"strides":[1]' }])],
    ['unknown-field', 'a field called __proto__', forgeEntries([{ more: ',"__proto__":{"dtype":"F32"}' }])],
    [
      'unknown-field',
      'a field nested to the end of the stack',
      forgeEntries([{ more: `,"x":${'['.repeat(100_000)}${']'.repeat(100_000)}` }]),
    ],
    ['unknown-dtype', 'a dtype that the format does not have', forgeEntries([{ dtype: '"F31"' }])],
    ['unknown-dtype', 'a dtype in lower case', forgeEntries([{ dtype: '"u8"' }])],
    ['unknown-dtype', 'a dtype with a space', forgeEntries([{ dtype: '"U8 "' }])],
    [
      'unknown-dtype',
      "a dtype that is a property of JavaScript's objects",
      forgeEntries([{ dtype: '"constructor"' }]),
    ],
    ['unknown-dtype', 'a number for a dtype', forgeEntries([{ dtype: '4' }])],
    ['unknown-dtype', 'null for a dtype', forgeEntries([{ dtype: 'null' }])],
    ['unknown-dtype', 'an object for a dtype', forgeEntries([{ dtype: '{"U8":null}' }])],
    ['invalid-shape', 'a negative size', forgeEntries([{ shape: '[-4]' }])],
    ['invalid-shape', 'a size of minus zero', forgeEntries([{ shape: '[-0]', ...none }], 0)],
    ['invalid-shape', 'a size with a fraction', forgeEntries([{ shape: '[1.5]' }])],
    ['invalid-shape', 'a whole size with a decimal point', forgeEntries([{ shape: '[4.0]' }])],
    ['invalid-shape', 'a size with an exponent', forgeEntries([{ shape: '[4e0]' }])],
    ['invalid-shape', 'a size with a leading zero', forgeEntries([{ shape: '[04]' }])],
    ['invalid-shape', 'a size with a plus', forgeEntries([{ shape: '[+4]' }])],
    ['invalid-shape', 'text for a size', forgeEntries([{ shape: '["4"]' }])],
    ['invalid-shape', 'null for a size', forgeEntries([{ shape: '[null]' }])],
    ['invalid-shape', 'a list for a size', forgeEntries([{ shape: '[[4]]' }])],
    ['invalid-shape', 'infinity for a size', forgeEntries([{ shape: '[Infinity]' }])],
    ['invalid-shape', 'a number for a shape', forgeEntries([{ shape: '4' }])],
    ['invalid-shape', 'null for a shape', forgeEntries([{ shape: 'null' }])],
    ['invalid-shape', 'an object for a shape', forgeEntries([{ shape: '{"0":4}' }])],
    [
      'too-many-axes',
      'more axes than any tensor has',
      forgeEntries([{ shape: zeros(MAX_AXES + 1), ...none }], 0),
    ],
    [
      'too-many-metadata',
      'more metadata than any file has',
      forge(`{"__metadata__":{${Array.from({ length: MAX_METADATA + 1 }, (_, i) => `"${i}":""`).join()}}}`),
    ],
    ['invalid-data-offsets', 'one offset', forgeEntries([{ offsets: '[0]' }])],
    ['invalid-data-offsets', 'three offsets', forgeEntries([{ offsets: '[0,4,4]' }])],
    [
      'invalid-data-offsets',
      'more offsets than a shape may have axes',
      forgeEntries([{ offsets: zeros(MAX_AXES + 1) }]),
    ],
    ['invalid-data-offsets', 'a number for offsets', forgeEntries([{ offsets: '4' }])],
    ['invalid-data-offsets', 'a negative offset', forgeEntries([{ offsets: '[-1,3]' }])],
    ['invalid-data-offsets', 'offsets with a fraction', forgeEntries([{ offsets: '[0.0,4.0]' }])],
    [
      'integer-too-large',
      'an empty tensor with an axis above 2^53',
      forgeEntries([{ shape: '[0,9007199254740992]', ...none }], 0),
    ],
    [
      'integer-too-large',
      'an axis above 2^64',
      forgeEntries([{ shape: '[0,18446744073709551616]', ...none }], 0),
    ],
    ['integer-too-large', 'an axis that overflows', forgeEntries([{ shape: '[2305843009213693952]' }])],
    ['integer-too-large', 'offsets above 2^53', forgeEntries([{ offsets: '[0,9223372036854775807]' }])],
    [
      'validation-overflow',
      'more values than 64 bits can count',
      forgeEntries([{ shape: '[9007199254740991,9007199254740991]' }]),
    ],
    [
      'validation-overflow',
      'more bits than 64 bits can count',
      forgeEntries([{ dtype: '"F64"', shape: '[4503599627370496,128]' }]),
    ],
    [
      'validation-overflow',
      'an overflow that a zero behind it hides',
      forgeEntries([{ shape: '[4503599627370496,4503599627370496,0]', ...none }], 0),
    ],
    ['misaligned-slice', 'three values of four bits', forgeEntries([{ dtype: '"F4"', shape: '[3]' }])],
    ['misaligned-slice', 'three values of six bits', forgeEntries([{ dtype: '"F6_E2M3"', shape: '[3]' }])],
    ['misaligned-slice', 'a scalar of four bits', forgeEntries([{ dtype: '"F4"', shape: '[]' }])],
    ['tensor-invalid-info', 'more values than bytes', forgeEntries([{ dtype: '"F32"', shape: '[2]' }])],
    ['tensor-invalid-info', 'fewer values than bytes', forgeEntries([{ dtype: '"U16"', shape: '[1]' }])],
    ['tensor-invalid-info', 'no values in some bytes', forgeEntries([{ shape: '[0]' }])],
    ['tensor-invalid-info', 'a scalar in no bytes', forgeEntries([{ shape: '[]', ...none }], 0)],
    ['tensor-invalid-info', 'a count above 2^53', forgeEntries([{ shape: '[1099511627776,65536]' }])],
    ['offset-order', 'offsets that run backwards', forgeEntries([{ offsets: '[4,0]' }])],
    [
      'hole',
      'data that does not begin at the first byte',
      forgeEntries([{ shape: '[3]', offsets: '[1,4]' }]),
    ],
    [
      'hole',
      'a byte between two tensors',
      forgeEntries([
        { shape: '[1]', offsets: '[0,1]' },
        { name: 'b', shape: '[2]', offsets: '[2,4]' },
      ]),
    ],
    [
      'hole',
      'an empty tensor behind the end',
      forgeEntries([{}, { name: 'b', shape: '[0]', offsets: '[9,9]' }]),
    ],
    [
      'overlap',
      'two tensors that share a byte',
      forgeEntries([
        { shape: '[2]', offsets: '[0,2]' },
        { name: 'b', shape: '[3]', offsets: '[1,4]' },
      ]),
    ],
    ['overlap', 'two tensors in the same bytes', forgeEntries([{}, { name: 'b' }])],
    [
      'overlap',
      'an empty tensor inside another',
      forgeEntries([{}, { name: 'b', shape: '[0]', offsets: '[2,2]' }]),
    ],
    ['incomplete-buffer', 'data that is cut', forgeEntries([{}], 3)],
    ['incomplete-buffer', 'a byte behind the last tensor', forgeEntries([{}], 5)],
    ['incomplete-buffer', 'data without tensors', forge('{}', 4)],
    ['incomplete-buffer', 'an archive appended to a file', forgeEntries([{}], latin1('\0\0\0\0PK\x03\x04'))],
  ] as const
).map(([rule, name, bytes]) => ({ rule, name, bytes }));
