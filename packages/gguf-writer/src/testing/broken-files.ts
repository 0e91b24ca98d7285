// Files that break a rule, at least one for each rule of the container, and files that only look so. Each is a model that
// llama.cpp loads with one thing changed; those that an advisory is about, or a report, name it. `hostile.test.ts` holds the
// reader to them, tooling/conformance/llama-cpp/readers.py other readers.
//
// - CVE-2024-21802, 21825, 21836, 23496, 23605: Cisco Talos, January 2024
// - CVE-2024-25664 to 25668: Databricks, January 2024
// - CVE-2025-53630 (GHSA-vgg9-87g3-85w8), CVE-2026-27940 (GHSA-3p4r-fq3f-q74v): sums of sizes that overflow
// - CVE-2026-7482: Ollama, a tensor beyond the end of the file
// - pull request 18674 and issue 27203 of llama.cpp: products of lengths that overflow

import { joined } from '@qlora-tooling/fuzz';
import type { GgufRule } from '../index';
import { MAX_ENTRIES, MAX_ITEMS, MAX_KEY, MAX_STRING, MAX_TENSORS } from '../rules';
import { type ForgedTensor, forged, forgedArray, forgedEntry, forgedText, headerOf, u32, u64 } from './forge';
import {
  alignment,
  bytesAfter,
  type Edit,
  empty,
  entry,
  head,
  headerCut,
  LAST,
  latin1,
  lengths,
  magic,
  more,
  NAME,
  NORM,
  swapped,
  tensor,
  tensorOf,
  type,
  value,
  WEIGHT,
} from './forge-edits';

/** A file that must be refused. */
export interface BrokenFile {
  /** The rule that the refusal must name. */
  readonly rule: GgufRule;
  /** What is wrong with it. */
  readonly name: string;
  /** What the message must say: the place, and what is there. */
  readonly says: string;
  readonly bytes: Uint8Array;
}

type Broken = readonly [rule: GgufRule, name: string, says: string, edit: Edit];

const broken: readonly Broken[] = [
  ['magic', 'another magic', 'does not begin with GGUF', head({ magic: magic('GGUX') })],
  ['magic', 'the magic in small letters', 'does not begin with GGUF', head({ magic: magic('gguf') })],
  ['magic', 'the magic of older llama.cpp files', 'does not begin with GGUF', head({ magic: magic('tjgg') })],
  ['magic', 'a zip file', 'does not begin with GGUF', head({ magic: magic('PK\x03\x04') })],

  ['version', 'version 0', 'version is 0', head({ version: 0 })],
  ['version', 'version 1', 'version is 1', head({ version: 1 })],
  ['version', 'version 4', 'version is 4', head({ version: 4 })],
  ['version', 'version 2^32 - 1', 'version is 4294967295', head({ version: 0xffffffff })],
  ['version', 'a big-endian file', 'is in big endian', swapped],

  ['truncated', 'no bytes at all', 'does not end within 0 bytes', () => empty],
  ['truncated', 'three bytes', 'does not end within 3 bytes', (file) => headerOf(file).subarray(0, 3)],
  ['truncated', 'the magic alone', 'does not end within 4 bytes', (file) => headerOf(file).subarray(0, 4)],
  [
    'truncated',
    'an end in the count of tensors',
    'within 12 bytes',
    (file) => headerOf(file).subarray(0, 12),
  ],
  ['truncated', 'an end before the last offset', 'does not end', headerCut(8)],
  ['truncated', 'an end inside the last offset', 'does not end', headerCut(1)],
  [
    'truncated',
    'a count of entries one too large',
    'does not end',
    (file) => {
      Object.assign(file, { tensors: [], tensorCount: 0n, metadataCount: file.metadataCount + 1n });
      return joined(headerOf(file), u64(4n), latin1('last'), type('u64'), u32(0));
    },
  ],

  ['count', '2^40 tensors', 'tensor count 1099511627776 cannot fit', head({ tensorCount: 2n ** 40n })],
  ['count', 'as many tensors as bytes', 'tensor count 142816 cannot fit', head({ tensorCount: 142_816n })],
  ['count', '2^40 entries', 'metadata count 1099511627776 cannot fit', head({ metadataCount: 2n ** 40n })],
  [
    'count',
    'an array of 2^40 numbers (CVE-2024-25667)',
    'general.name: array length 1099511627776 cannot fit',
    value(NAME, forgedArray('u32', 2n ** 40n, empty)),
  ],
  [
    'count',
    'an array of 2^40 strings (CVE-2024-25668)',
    'general.name: array length 1099511627776 cannot fit',
    value(NAME, forgedArray('string', 2n ** 40n, empty)),
  ],
  [
    'count',
    'an array that is longer than the file by one byte',
    'array length',
    (file) => {
      Object.assign(file, { tensors: [], tensorCount: 0n });
      file.entries.push({ key: forgedText('last'), value: forgedArray('u8', 6n, new Uint8Array(5)) });
      file.metadataCount += 1n;
      return headerOf(file);
    },
  ],

  [
    'too-many',
    'more entries than any file has',
    `metadata count is ${MAX_ENTRIES + 1}`,
    (file) => {
      const names = Array.from({ length: MAX_ENTRIES + 1 - file.entries.length }, (_, i) => `k${i}`);
      more(...names.map((name) => forgedEntry(name, { type: 'u8', value: 0 })))(file);
    },
  ],
  [
    'too-many',
    'more tensors than any file has',
    `tensor count is ${MAX_TENSORS + 1}`,
    (file) => {
      file.tensorCount = BigInt(MAX_TENSORS + 1);
      return joined(forged(file), new Uint8Array(24 * (MAX_TENSORS + 1)));
    },
  ],
  [
    'too-many',
    'more items than any array has',
    `x: array length is ${MAX_ITEMS + 1}`,
    more({
      key: forgedText('x'),
      value: forgedArray('bool', BigInt(MAX_ITEMS + 1), new Uint8Array(MAX_ITEMS + 1)),
    }),
  ],
  [
    'too-many',
    'many arrays with more items than all arrays have',
    'y: array length is',
    more(
      ...['x', 'y'].map((name) => ({
        key: forgedText(name),
        value: forgedArray('i8', BigInt(MAX_ITEMS / 2 + 1), new Uint8Array(MAX_ITEMS / 2 + 1)),
      })),
    ),
  ],
  [
    'header-size',
    'more strings than any header has',
    'does not end within 134217728 bytes',
    (file) => {
      const texts = Array.from({ length: 9 }, () => [u64(BigInt(MAX_STRING)), new Uint8Array(MAX_STRING)]);
      more({ key: forgedText('x'), value: forgedArray('string', 9n, joined(...texts.flat())) })(file);
    },
  ],

  [
    'string-length',
    'a key of 2^40 bytes (CVE-2024-25665)',
    'a key of 1099511627776 bytes cannot fit',
    entry(NAME, ({ key }) => ({ key: { ...key, length: 2n ** 40n } })),
  ],
  [
    'string-length',
    'a key that is longer than the file by one byte',
    'bytes cannot fit into',
    (file) => {
      Object.assign(file, { tensors: [], tensorCount: 0n });
      more({ key: { length: 20n, bytes: latin1('last') }, value: new Uint8Array(15) })(file);
      return headerOf(file);
    },
  ],
  [
    'string-length',
    'a text of 2^40 bytes',
    'general.name: a string of 1099511627776 bytes cannot fit',
    value(NAME, joined(type('string'), u64(2n ** 40n))),
  ],
  [
    'string-length',
    'a text of 2^40 bytes in an array',
    'general.name: a string of 1099511627776 bytes cannot fit',
    value(NAME, forgedArray('string', 2n, joined(u64(0n), u64(2n ** 40n)))),
  ],
  [
    'string-length',
    'a tensor name of 2^40 bytes',
    'a tensor name of 1099511627776 bytes cannot fit',
    tensor(NORM, ({ name }) => ({ name: { ...name, length: 2n ** 40n } })),
  ],
  [
    'string-limit',
    'a key above the limit of the format',
    'a key has 65536 bytes',
    more(forgedEntry('k'.repeat(MAX_KEY + 1), { type: 'u8', value: 0 })),
  ],
  [
    'string-limit',
    'a text larger than any text',
    'x: a string has 16777217 bytes',
    more({
      key: forgedText('x'),
      value: joined(type('string'), u64(BigInt(MAX_STRING + 1)), new Uint8Array(MAX_STRING + 1)),
    }),
  ],

  [
    'empty-key',
    'a key of no characters',
    'a metadata key is empty',
    entry(NAME, () => ({ key: forgedText('') })),
  ],
  [
    'encoding',
    'a byte in a key that UTF-8 does not have',
    'a key is no UTF-8',
    entry(NAME, () => ({ key: forgedText(latin1('general.nam\xff')) })),
  ],
  [
    'encoding',
    'a zero in a key',
    'a key is no UTF-8, or has a zero in it',
    entry(NAME, () => ({ key: forgedText('general.name\0x') })),
  ],
  [
    'encoding',
    'half a surrogate pair in a tensor name',
    'a tensor name is no UTF-8',
    tensor(NORM, () => ({ name: forgedText(latin1('output_norm.\xed\xa0\x80')) })),
  ],
  [
    'encoding',
    'a zero in a tensor name',
    'a tensor name is no UTF-8, or has a zero in it',
    tensor(NORM, () => ({ name: forgedText('output_norm.weight\0x') })),
  ],
  [
    'encoding',
    'two tensor names that differ behind a zero',
    'a tensor name is no UTF-8, or has a zero in it',
    (file) => {
      tensorOf(file, NORM).name = forgedText('a\0x');
      tensorOf(file, LAST).name = forgedText('a\0y');
    },
  ],

  [
    'duplicate-key',
    'a key that is there twice',
    'general.name: the key is there twice',
    more(forgedEntry(NAME, { type: 'string', value: 'another' })),
  ],
  [
    'duplicate-key',
    'two alignments',
    'general.alignment: the key is there twice',
    more(
      forgedEntry('general.alignment', { type: 'u32', value: 32 }),
      forgedEntry('general.alignment', { type: 'u32', value: 64 }),
    ),
  ],

  [
    'value-type',
    'a value of type 13',
    'general.name: has value type 13',
    value(NAME, joined(u32(13), u64(0n))),
  ],
  [
    'value-type',
    'a value of type 2^32 - 1',
    'general.name: has value type 4294967295',
    value(NAME, joined(u32(0xffffffff), u64(0n))),
  ],
  [
    'value-type',
    'an array of type 13',
    'general.name: has value type 13',
    value(NAME, joined(type('array'), u32(13), u64(1n), u64(0n))),
  ],
  [
    'nested-array',
    'an array of arrays',
    'general.name: is an array of arrays',
    value(NAME, forgedArray('array', 1n, joined(type('u8'), u64(1n), Uint8Array.of(7)))),
  ],
  [
    'nested-array',
    'arrays to the end of the stack',
    'general.name: is an array of arrays',
    value(NAME, joined(...Array.from({ length: 10_000 }, () => forgedArray('array', 1n, empty)))),
  ],
  [
    'nested-array',
    'an empty array of arrays',
    'general.name: is an array of arrays',
    value(NAME, forgedArray('array', 0n, empty)),
  ],
  ['bool', 'a bool of 2', 'general.name: is the byte 2', value(NAME, joined(type('bool'), Uint8Array.of(2)))],
  [
    'bool',
    'a bool of 255 in an array',
    'general.name: is the byte 255',
    value(NAME, forgedArray('bool', 2n, Uint8Array.of(1, 255))),
  ],

  ['alignment', 'an alignment of 0', 'general.alignment: is u32 0', alignment(joined(type('u32'), u32(0)))],
  [
    'alignment',
    'an alignment of 48',
    'general.alignment: is u32 48',
    alignment(joined(type('u32'), u32(48))),
  ],
  [
    'alignment',
    'an alignment of 2^32 - 1',
    'general.alignment: is u32 4294967295',
    alignment(joined(type('u32'), u32(0xffffffff))),
  ],
  [
    'alignment',
    'an alignment as u64',
    'general.alignment: is u64 32',
    alignment(joined(type('u64'), u64(32n))),
  ],
  [
    'alignment',
    'an alignment as i32',
    'general.alignment: is i32 32',
    alignment(joined(type('i32'), u32(32))),
  ],
  [
    'alignment',
    'an alignment as text',
    'general.alignment: is string 32',
    alignment(joined(type('string'), u64(2n), latin1('32'))),
  ],
  [
    'alignment',
    'an alignment as an array',
    'general.alignment: is array',
    alignment(forgedArray('u32', 1n, u32(32))),
  ],

  [
    'name-length',
    'a tensor name of 64 bytes',
    'a tensor name has 64 bytes',
    tensor(NORM, () => ({ name: forgedText('n'.repeat(64)) })),
  ],
  [
    'name-length',
    'a tensor name of 64 bytes in 32 characters',
    'a tensor name has 64 bytes',
    tensor(NORM, () => ({ name: forgedText('ä'.repeat(32)) })),
  ],
  [
    'duplicate-tensor',
    'two tensors of one name',
    'blk.0.attn_q.weight: is there twice',
    tensor(LAST, () => ({ name: forgedText(WEIGHT) })),
  ],

  ['axes', 'five axes', 'output_norm.weight: has 5 axes', lengths(NORM, [64n, 1n, 1n, 1n, 1n])],
  [
    'axes',
    '2^32 - 1 axes (CVE-2024-21802)',
    'output_norm.weight: has 4294967295 axes',
    tensor(NORM, () => ({ axes: 0xffffffff })),
  ],

  [
    'overflow',
    '2^63 tensors (CVE-2024-21836, CVE-2024-25666)',
    'tensor count is 9223372036854775808',
    head({ tensorCount: 2n ** 63n }),
  ],
  [
    'overflow',
    'as many tensors as fit once into 2^64 with their overhead (CVE-2026-27940)',
    'tensor count is 50127021939428130',
    head({ tensorCount: 2n ** 64n / 368n + 1n }),
  ],
  [
    'overflow',
    'as many entries as fit once into 2^64 (CVE-2024-23605, CVE-2024-25664)',
    'metadata count is 384307168202282326',
    head({ metadataCount: 2n ** 64n / 48n + 1n }),
  ],
  [
    'overflow',
    'a text of 2^64 - 1 bytes, and no room for its zero (CVE-2024-23496)',
    'general.name: length of a string is 18446744073709551615',
    value(NAME, joined(type('string'), u64(2n ** 64n - 1n))),
  ],
  [
    'overflow',
    'a key of 2^64 - 1 bytes (CVE-2024-23496)',
    'length of a key is 18446744073709551615',
    entry(NAME, ({ key }) => ({ key: { ...key, length: 2n ** 64n - 1n } })),
  ],
  [
    'overflow',
    'an array of 2^62 + 1 numbers of four bytes (CVE-2024-21825, CVE-2024-25667)',
    'general.name: array length is 4611686018427387905',
    value(NAME, forgedArray('u32', 2n ** 62n + 1n, u32(0))),
  ],
  [
    'overflow',
    'an array of 2^60 + 1 strings (CVE-2024-21825, CVE-2024-25668)',
    'general.name: array length is 1152921504606846977',
    value(NAME, forgedArray('string', 2n ** 60n + 1n, u64(0n))),
  ],
  [
    'overflow',
    'a negative length of an axis (CVE-2024-21802)',
    'output_norm.weight: a length is 18446744073709551615',
    lengths(NORM, [-1n]),
  ],
  [
    'overflow',
    'lengths whose product is 2^64',
    'output_norm.weight: shape [4294967296, 4294967296] has more than 2^53 values',
    lengths(NORM, [2n ** 32n, 2n ** 32n]),
  ],
  [
    'overflow',
    'a length that overflows with a type of one byte (issue 27203)',
    'output_norm.weight: a length is 9223372036854775807',
    lengths(NORM, [2n ** 63n - 1n, 2n], 24),
  ],
  [
    'overflow',
    'an offset of 2^64 - 32 (CVE-2025-53630)',
    'blk.1.attn_v.weight: offset is 18446744073709551584',
    tensor(LAST, () => ({ offset: 2n ** 64n - 32n })),
  ],

  ...(
    [
      ['the type Q4_2 that ggml has no more', 4],
      ['the type Q4_3 that ggml has no more', 5],
      ['the type Q4_0_4_4 that ggml has no more', 31],
      ['the type IQ4_NL_4_4 that ggml has no more', 36],
      ['a type after the last one', 43],
      ['a negative type', 0xffffffff],
    ] as const
  ).map(
    ([name, type]): Broken => [
      'tensor-type',
      name,
      `output_norm.weight: has ggml type ${type}`,
      lengths(NORM, [64n], type),
    ],
  ),
  [
    'row-length',
    'rows of 48 in blocks of 32',
    'blk.0.attn_q.weight: rows of 48 are no whole blocks of q8_0',
    lengths(WEIGHT, [48n, 64n]),
  ],
  [
    'row-length',
    'rows of 64 in blocks of 256, though there are enough values',
    'blk.0.attn_q.weight: rows of 64 are no whole blocks of q6_K',
    lengths(WEIGHT, [64n, 64n], 14),
  ],
  [
    'row-length',
    'no axes in blocks of 32',
    'blk.0.attn_q.weight: rows of 1 are no whole blocks of q8_0',
    lengths(WEIGHT, []),
  ],

  [
    'tensor-offset',
    'an offset that is not aligned',
    'its offset is',
    tensor(LAST, ({ offset }) => ({ offset: offset + 1n })),
  ],
  [
    'tensor-offset',
    'a gap before a tensor',
    'blk.1.attn_v.weight: its offset is',
    tensor(LAST, ({ offset }) => ({ offset: offset + 32n })),
  ],
  [
    'tensor-offset',
    'a tensor inside the one before',
    'blk.1.attn_v.weight: its offset is',
    tensor(LAST, ({ offset }) => ({ offset: offset - 32n })),
  ],
  [
    'tensor-offset',
    'a tensor on top of the first',
    'blk.1.attn_v.weight: its offset is 0',
    tensor(LAST, () => ({ offset: 0n })),
  ],
  [
    'tensor-offset',
    "two tensors in each other's place",
    'its offset is',
    (file) => {
      const [a, b] = file.tensors as [ForgedTensor, ForgedTensor];
      [a.offset, b.offset] = [b.offset, a.offset];
    },
  ],
  [
    'tensor-offset',
    'a tensor larger than its data, others after it',
    'its offset is',
    lengths(WEIGHT, [64n, 65n]),
  ],
  [
    'tensor-offset',
    'data aligned otherwise than it says',
    'its offset is',
    alignment(joined(type('u32'), u32(64))),
  ],
  [
    'tensor-outside',
    'a last tensor larger than its data (CVE-2026-7482)',
    'output_norm.weight: its data ends at',
    lengths(NORM, [2n ** 20n]),
  ],
  [
    'tensor-outside',
    'rows whose stride times their number is 2^64 (pull request 18674)',
    'token_embd.weight: its data ends at',
    lengths('token_embd.weight', [1152n, 2n ** 42n + 1n]),
  ],
  [
    'tensor-outside',
    'a last tensor of a petabyte',
    'output_norm.weight: its data ends at',
    lengths(NORM, [2n ** 48n]),
  ],
  [
    'tensor-outside',
    'a last tensor cut by one byte',
    'its data ends at',
    (file) => forged(file).subarray(0, -1),
  ],
  ['tensor-outside', 'no data at all', 'output.weight: its data ends at', headerCut(0)],
  [
    'tensor-outside',
    'an alignment of 2^31, and no data there',
    'its data ends at',
    (file) => {
      file.tensors = [{ ...tensorOf(file, NORM), offset: 0n }];
      file.tensorCount = 1n;
      alignment(joined(type('u32'), u32(2 ** 31)))(file);
    },
  ],
];

/** All of them. Names are unique. */
export const brokenFiles: readonly BrokenFile[] = broken.map(([rule, name, says, edit]) => ({
  rule,
  name,
  says,
  // Made when they are looked at: some are large.
  get bytes() {
    return bytesAfter(edit);
  },
}));
