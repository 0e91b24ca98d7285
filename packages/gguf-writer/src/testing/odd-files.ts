// Files that only look broken, and must be read: each a model that llama.cpp loads with one thing changed.
import { joined } from '@qlora-tooling/fuzz';
import { MAX_KEY } from '../rules';
import { type Forged, forged, forgedArray, forgedEntry, forgedText, headerOf, u32, u64 } from './forge';
import {
  alignment,
  bytesAfter,
  type Edit,
  empty,
  extra,
  head,
  latin1,
  lengths,
  more,
  NORM,
  tensor,
  tensorOf,
  type,
} from './forge-edits';

/** A file that must be read. */
export interface OddFile {
  /** What is odd about it. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

const odd: readonly (readonly [name: string, edit: Edit])[] = [
  ['nothing changed', () => {}],
  ['version 2', head({ version: 2 })],
  [
    'no tensors',
    (file) => {
      Object.assign(file, { tensors: [], tensorCount: 0n });
      return headerOf(file);
    },
  ],
  [
    'no metadata and no tensors',
    (file) => {
      Object.assign(file, { tensors: [], tensorCount: 0n, entries: [], metadataCount: 0n });
      return headerOf(file);
    },
  ],
  ['bytes after the last tensor', (file) => joined(forged(file), latin1('more'))],
  [
    'no padding after the last tensor',
    (file) => {
      file.tensors.push({
        ...tensorOf(file, NORM),
        name: forgedText('x'),
        lengths: [1n],
        offset: sizeOf(file),
        data: u32(0),
      });
      file.tensorCount += 1n;
    },
  ],
  [
    'padding that is not zero',
    (file) => {
      const header = headerOf(file);
      const bytes = forged(file);
      return bytes.fill(0xff, header.length, Math.ceil(header.length / 32) * 32);
    },
  ],
  ['no axes', lengths(NORM, [])],
  ['an axis of no length', lengths(NORM, [0n])],
  ['a matrix of no rows', lengths(NORM, [64n, 0n])],
  ['four axes', lengths(NORM, [64n, 1n, 1n, 1n])],
  [
    'an alignment of 1',
    (file) => {
      file.alignment = 1;
      file.tensors = [{ ...tensorOf(file, NORM), offset: 0n }];
      file.tensorCount = 1n;
      alignment(joined(type('u32'), u32(1)))(file);
    },
  ],
  [
    'an alignment of 64 KB',
    (file) => {
      file.alignment = 2 ** 16;
      file.tensors = [{ ...tensorOf(file, NORM), offset: 0n }];
      file.tensorCount = 1n;
      alignment(joined(type('u32'), u32(2 ** 16)))(file);
    },
  ],
  ['a tensor name of no characters', tensor(NORM, () => ({ name: forgedText('') }))],
  ['a tensor name of 63 bytes', tensor(NORM, () => ({ name: forgedText('n'.repeat(63)) }))],
  ['a tensor called __proto__', tensor(NORM, () => ({ name: forgedText('__proto__') }))],
  ['a tensor name that steers a terminal', tensor(NORM, () => ({ name: forgedText('a\n\x1b[2J\u202e') }))],
  ['a key called __proto__', more(forgedEntry('__proto__', { type: 'u8', value: 1 }))],
  ['a key of 65535 bytes', more(forgedEntry('k'.repeat(MAX_KEY), { type: 'u8', value: 1 }))],
  ['a text that is no UTF-8', extra(joined(type('string'), u64(2n), latin1('\xff\xfe')))],
  ['a text with a zero', extra(joined(type('string'), u64(3n), latin1('a\0b')))],
  ['a text of a megabyte', extra(joined(type('string'), u64(2n ** 20n), new Uint8Array(2 ** 20).fill(97)))],
  [
    'numbers that are no numbers',
    extra(
      forgedArray(
        'f64',
        3n,
        new Uint8Array(Float64Array.of(Number.NaN, -0, Number.NEGATIVE_INFINITY).buffer),
      ),
    ),
  ],
  ...(['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'string', 'u64', 'i64', 'f64'] as const).map(
    (items): [string, Edit] => [`an empty array of ${items}`, extra(forgedArray(items, 0n, empty))],
  ),
  ['an array of a million numbers', extra(forgedArray('u8', 1_000_000n, new Uint8Array(1_000_000)))],
  ['a type that is not decoded here', lengths(NORM, [64n], 24)],
];

/** The number of bytes of data. */
const sizeOf = (file: Forged) => BigInt(file.tensors.reduce((sum, { data }) => sum + data.length, 0));

/** All of them. Names are unique. */
export const oddFiles: readonly OddFile[] = odd.map(([name, edit]) => ({
  name,
  get bytes() {
    return bytesAfter(edit);
  },
}));
