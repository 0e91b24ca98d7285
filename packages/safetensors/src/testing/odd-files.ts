// Files that look wrong and are not: the reference implementation takes them, and so must the reader.
import { FILE_DTYPES } from '../dtypes';
import { MAX_AXES } from '../header';
import { entry, forge, forgeEntries } from './forge';

/** A file that must be accepted. */
export interface OddFile {
  /** What is odd about it. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The tensors in it, in the order of their data. */
  readonly tensors: readonly string[];
}

const empty = { shape: '[0]', offsets: '[0,0]' };

/** All of them. Names are unique. */
export const oddFiles: readonly OddFile[] = (
  [
    ['no tensors', forge('{}'), []],
    ['empty metadata and no tensors', forge('{"__metadata__":{}}'), []],
    ['whitespace behind the header', forge(`{${entry()}} \t\r\n `, 4), ['a']],
    [
      'whitespace between all parts',
      forge('{ "a" :\t{\n"dtype" : "U8" ,\r"shape" : [ 4 ] , "data_offsets" : [ 0 , 4 ] } }', 4),
      ['a'],
    ],
    ['fields in another order', forge('{"a":{"data_offsets":[0,4],"shape":[4],"dtype":"U8"}}', 4), ['a']],
    ['metadata behind the tensors', forge(`{${entry()},"__metadata__":{"format":"pt"}}`, 4), ['a']],
    [
      'tensors in another order than their data',
      forgeEntries([
        { shape: '[2]', offsets: '[2,4]' },
        { name: 'b', shape: '[2]', offsets: '[0,2]' },
      ]),
      ['b', 'a'],
    ],
    ['data that begins at an odd byte', forge(`{${entry({ dtype: '"F32"', shape: '[1]' })}}  `, 4), ['a']],
    ['a scalar', forgeEntries([{ dtype: '"F32"', shape: '[]' }]), ['a']],
    [
      'empty tensors before, between and behind others',
      forgeEntries([
        { name: 'z', shape: '[0]', offsets: '[4,4]' },
        { shape: '[2]', offsets: '[0,2]' },
        { name: 'm', shape: '[3,0]', offsets: '[2,2]' },
        { name: 'b', shape: '[2]', offsets: '[2,4]' },
        { name: 'c', ...empty },
      ]),
      ['c', 'a', 'm', 'b', 'z'],
    ],
    [
      'an empty tensor of sizes beyond 2^53 together',
      forgeEntries([{ shape: '[1073741824,1073741824,0]', offsets: '[0,0]' }], 0),
      ['a'],
    ],
    [
      'an empty tensor whose first zero hides an overflow',
      forgeEntries([{ shape: '[0,9007199254740991,9007199254740991]', offsets: '[0,0]' }], 0),
      ['a'],
    ],
    [
      'as many axes as allowed',
      forgeEntries([{ shape: `[${Array(MAX_AXES).fill('1').join()}]`, offsets: '[0,1]' }], 1),
      ['a'],
    ],
    ['a name without characters', forgeEntries([{ name: '' }]), ['']],
    ['a name of 100 000 characters', forgeEntries([{ name: 'x'.repeat(100_000) }]), ['x'.repeat(100_000)]],
    [
      "names that are properties of JavaScript's objects",
      forgeEntries([
        { name: '__proto__', ...empty },
        { name: 'constructor' },
        { name: 'toString', shape: '[0]', offsets: '[4,4]' },
      ]),
      ['__proto__', 'constructor', 'toString'],
    ],
    [
      'names that are numbers',
      forgeEntries([
        { name: '1', shape: '[2]', offsets: '[2,4]' },
        { name: '0', shape: '[2]', offsets: '[0,2]' },
      ]),
      ['0', '1'],
    ],
    [
      'metadata of keys that are properties of objects',
      forge('{"__metadata__":{"__proto__":"a","constructor":"b","":""}}'),
      [],
    ],
    [
      'a name of escapes',
      forgeEntries([{ name: '\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\u20ac\\uD83D\\ude00' }]),
      ['"\\/\b\f\n\r\t\0é€😀'],
    ],
    ['a name of characters beyond ASCII', forgeEntries([{ name: 'é€😀\u2028\x7f' }]), ['é€😀\u2028\x7f']],
    ['a name that begins with a byte order mark', forgeEntries([{ name: '\ufeffa' }]), ['\ufeffa']],
    [
      'two names that are the same to the eye',
      forgeEntries([{ name: '\u00e9' }, { name: 'e\u0301', shape: '[0]', offsets: '[4,4]' }]),
      ['\u00e9', 'e\u0301'],
    ],
    [
      'a dtype and a field of escapes',
      forge('{"a":{"\\u0064type":"\\u0055\\u0038","shape":[4],"data_offsets":[0,4]}}', 4),
      ['a'],
    ],
    ...FILE_DTYPES.map(
      (dtype) =>
        [
          `24 bytes of ${dtype}`,
          forgeEntries(
            [{ dtype: `"${dtype}"`, shape: `[${(24 * 8) / bitsIn(dtype)}]`, offsets: '[0,24]' }],
            24,
          ),
          ['a'],
        ] as const,
    ),
  ] as const
).map(([name, bytes, tensors]) => ({ name, bytes, tensors }));

/** The bits of a dtype, from its name: the reader's own table is what is to be tested. */
function bitsIn(dtype: string): number {
  return dtype === 'BOOL' ? 8 : Number(/\d+/.exec(dtype)?.[0]);
}
