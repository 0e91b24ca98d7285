// Files that lie. Each rule of the reader has a file that breaks it and nothing else: checksums are made right again
// after the change, as someone who means harm would.
import { bytesSource, QloraError } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { crc32 } from './header';
import { LIMITS } from './layout';
import { openQnat } from './reader';
import { fileOf, readAll, ruleOf, rulesIn, threeTensors } from './testing';
import { type Change, forge as forgeFile, type Json } from './testing/forge';

const intact = await fileOf(threeTensors(), { name: 'test' });

const forge = (change: Change) => forgeFile(intact, change);
const u32 = (at: number, value: number): Change => ({ header: (view) => view.setUint32(at, value, true) });
const u64 = (at: number, value: bigint): Change => ({ header: (view) => view.setBigUint64(at, value, true) });
const text = (from: string | RegExp, to: string): Change => ({ text: (all) => all.replace(from, to) });
/** Sets a field of the tensor at `index`: 0 is dense, 1 has double quantization, 2 zero points. */
const field = (index: number, name: string, value: unknown): Change => ({
  directory: ({ tensors }) => {
    const entry = tensors[index];
    if (entry) entry[name] = value;
  },
});
const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

const cases: [rule: string, what: string, change: Change][] = [
  ['magic', 'another format', u32(0, 0x46554747)],
  ['version', 'a version to come', { header: (view) => view.setUint16(4, 3, true) }],
  ['version', 'a dialect to come', { header: (view) => view.setUint16(6, 2, true) }],
  ['alignment', 'sections at multiples of 32', u32(12, 32)],
  ['reserved', 'reserved bytes in use', u32(56, 1)],
  ['size', 'a directory larger than the file', u64(24, 1n << 40n)],
  ['size', 'data larger than numbers can say', u64(40, (1n << 64n) - 1n)],
  ['directory-offset', 'a directory that begins later', u64(16, 128n)],
  ['data-offset', 'data that begins inside the directory', u64(32, 64n)],
  ['data-offset', 'data that begins later than it could', u64(32, 1024n)],
  [
    'file-size',
    'data that ends before the file',
    {
      data: (tail) => Uint8Array.of(...tail, ...new Uint8Array(64)),
      header: (view) => view.setBigUint64(40, view.getBigUint64(40, true) - 64n, true),
    },
  ],
  ['data-size', 'data that no tensor has', { data: (tail) => Uint8Array.of(...tail, ...new Uint8Array(64)) }],
  ['data-size', 'a tensor beyond the end', { data: (tail) => tail.slice(0, -64) }],
  ['tensor-count', 'fewer tensors than the directory has', u32(48, 2)],
  ['tensor-count', 'more tensors than the limit', u32(48, 0xffffffff)],
  ['flags', 'a flag that is not known', u32(8, 15)],
  ['flags', 'no flag for zero points, which a tensor has', u32(8, 3)],
  ['directory-checksum', 'a directory that is not the one of the header', u32(52, 0)],
  ['directory-text', 'a directory that is no UTF-8', { raw: (bytes) => bytes.fill(0xff, 20, 21) }],
  ['directory-text', 'a directory that is no JSON', text('}', '')],
  ['directory-text', 'a byte order mark', text('{', '\ufeff{')],
  ['directory-text', 'half a surrogate pair', field(0, 'name', '\udc00')],
  ['directory-text', 'half a surrogate pair, the other half elsewhere', text('"test"', '"\\ud83d \\ude00"')],
  ['directory-text', 'half a surrogate pair at the end', text('"test"', '"\\ud83d"')],
  ['directory-text', 'an escape that is cut off', { text: (all) => `${all.slice(0, -1)}"\\ud8` }],
  ['directory-text', 'a number that is infinite', text('"test"', '-1e999')],
  ['directory-text', 'a number that is infinite by its digits', text('"test"', '9'.repeat(400))],
  ['directory-text', 'a number without end', text('"test"', '1'.repeat(1_000_000))],
  ['directory', 'a directory that is a list', text(/^.*$/, '[]')],
  ['directory', 'a directory that is null', text(/^.*$/, 'null')],
  ['directory', 'no metadata', { text: (all) => all.replace('"metadata"', '"meta"') }],
  [
    'directory',
    'metadata that is a list',
    { directory: (json) => void Object.assign(json, { metadata: [] }) },
  ],
  ['directory', 'tensors that are no list', { text: (all) => all.replace(/"tensors":.*/, '"tensors":{}}') }],
  ['directory', 'a third part', text('{', '{"extra":1,')],
  ['directory-depth', 'nesting beyond the limit', text('"test"', deep(100))],
  ['directory-depth', 'nesting to the end of the stack', text('"test"', deep(200_000))],
  ['directory-depth', 'objects in objects', text('"test"', `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`)],
  ['directory-depth', 'brackets that are never closed', text('"test"', '['.repeat(200_000))],
  [
    'directory-values',
    'more values than the limit',
    text('"test"', `[${'0,'.repeat(LIMITS.directoryValues)}0]`),
  ],
  [
    'directory-values',
    'more objects than the limit',
    text('"test"', `[${'{},'.repeat(LIMITS.directoryValues / 2)}{}]`),
  ],
  [
    'duplicate-key',
    'a key twice under different spellings',
    text('"name":"test"', '"name":1,"n\\u0061me":2'),
  ],
  ['duplicate-key', 'a key twice, deep in the metadata', text('"test"', '[[{"a":{"b":1,"c":[],"b":2}}]]')],
  [
    'directory-values',
    'an object of more keys than the limit',
    text('"test"', `{${'"":0,'.repeat(LIMITS.objectKeys)}"":0}`),
  ],
  ['duplicate-key', 'a field twice', text('"dtype":"f32"', '"dtype":"f32","dtype":"i32"')],
  [
    'entry',
    'an entry that is a string',
    { directory: ({ tensors }) => void (tensors as unknown[]).splice(0, 1, 'w') },
  ],
  ['unknown-field', 'a field that is not known', field(0, 'compression', 'zstd')],
  ['unknown-field', 'a block size on a dense tensor', field(0, 'block_size', 64)],
  ['name', 'a name that is a number', field(0, 'name', 7)],
  ['name', 'an empty name', field(0, 'name', '')],
  ['name', 'a name beyond the limit', field(0, 'name', 'x'.repeat(1025))],
  ['duplicate-name', 'two tensors of one name', field(1, 'name', 'norm')],
  ['dtype', 'a type that is not known', field(0, 'dtype', 'f8')],
  ['dtype', 'a type that every object has', field(0, 'dtype', 'constructor')],
  ['shape', 'a shape that is a number', field(0, 'shape', 3)],
  ['shape', 'a negative length', field(0, 'shape', [-3, -1])],
  ['shape', 'half a length', field(0, 'shape', [1.5, 2])],
  ['shape', 'a length of -0', text('"shape":[3]', '"shape":[-0]')],
  ['offset', 'an offset of -0', text('"offset":0', '"offset":-0')],
  ['shape', 'a length as text', field(0, 'shape', ['3'])],
  ['shape', 'a length beyond 2^53', field(0, 'shape', [2 ** 60])],
  ['shape', 'more axes than the limit', field(0, 'shape', new Array(17).fill(1))],
  ['overflow', 'a product beyond 2^53', field(0, 'shape', [2 ** 40, 2 ** 40])],
  ['overflow', 'an overflow behind a zero', field(0, 'shape', [2 ** 40, 0, 2 ** 40])],
  [
    'overflow',
    'tensors that end beyond 2^53 together',
    {
      directory: ({ tensors }) =>
        tensors.splice(
          0,
          3,
          ...[0, 1, 2].map((i) => ({
            name: `${i}`,
            dtype: 'f64',
            shape: [2 ** 49],
            offset: i * 2 ** 52,
            size: 2 ** 52,
            crc32: '00000000',
            sections: { values: [0, 2 ** 52] },
          })),
        ),
    },
  ],
  ['scheme', 'a scheme that is not known', field(1, 'scheme', 'nf3')],
  ['scheme', 'a scheme that is null', field(1, 'scheme', null)],
  ['strategy', 'a strategy that is not known', field(1, 'strategy', 'by-row')],
  ['strategy', 'no strategy', field(1, 'strategy', undefined)],
  ['quantized-dtype', 'quantized integers', field(1, 'dtype', 'i32')],
  ['nested', 'another nested block size', field(1, 'nested_block_size', 128)],
  ['nested', 'another map', field(1, 'nested_map', 'linear8')],
  ['nested', 'a nested block size without a map', field(2, 'nested_block_size', 256)],
  ['block-size', 'blocks of nothing', field(1, 'block_size', 0)],
  ['block-size', 'half a block', field(1, 'block_size', 0.5)],
  ['block-size', 'blocks beyond the limit', field(1, 'block_size', 2 ** 32)],
  ['block-size', 'an axis without channels', field(1, 'axis', 0)],
  ['axis', 'no axis', field(1, 'strategy', 'per-channel')],
  [
    'axis',
    'an axis that the shape lacks',
    {
      directory: ({ tensors }) =>
        void Object.assign(tensors[1] ?? {}, { strategy: 'per-channel', block_size: undefined, axis: 2 }),
    },
  ],
  ['tensor-size', 'a size that its shape does not have', field(0, 'shape', [300])],
  ['tensor-size', 'blocks that need more scales', field(2, 'block_size', 1)],
  ['tensor-size', 'a negative size', field(0, 'size', -64)],
  ['sections', 'no sections', field(0, 'sections', undefined)],
  ['sections', 'a section too many', field(0, 'sections', { values: [0, 12], codes: [0, 12] })],
  ['sections', 'a section of another name', field(0, 'sections', { codes: [0, 12] })],
  ['sections', 'a section that reaches into the next tensor', field(0, 'sections', { values: [0, 128] })],
  ['sections', 'a section that begins elsewhere', field(0, 'sections', { values: [64, 12] })],
  ['sections', 'a section nested to the end of the stack', text('[0,12]', deep(60))],
  ['offset', 'a tensor inside the one before', field(1, 'offset', 0)],
  ['offset', 'a tensor before the data', field(0, 'offset', -64)],
  ['offset', 'a gap', field(0, 'offset', 64)],
  ['offset', 'an offset as text', field(0, 'offset', '0')],
  ['crc32', 'no checksum', field(0, 'crc32', undefined)],
  ['crc32', 'a checksum in capitals', field(0, 'crc32', 'ABCDEF01')],
  ['checksum', 'data that is not what was written', field(0, 'crc32', '00000000')],
  [
    'padding',
    'something between directory and data',
    {
      text: (all) => `${all}${' '.repeat((130 - (all.length % 64)) % 64)}`,
      data: (tail) => void tail.fill(1, 0, 1),
    },
  ],
];

describe('a forged file is refused by rule', () => {
  it('when nothing is changed it is not', async () => {
    expect(forge({})).toEqual(intact);
    expect(await ruleOf(async () => readAll(await openQnat(bytesSource(intact))))).toBe('accepted');
  });

  it.each(cases)('%s: %s', async (rule, _, change) => {
    const file = forge(change);
    expect(await ruleOf(async () => readAll(await openQnat(bytesSource(file, 'forged.qnat'))))).toBe(
      `qnat/${rule}`,
    );
  });

  // Tensor 0 has 12 bytes of values; tensor 1 has 80 bytes of codes, then 3 of scale codes at 128.
  it.each([
    [0, 12],
    [0, 63],
    [1, 80],
    [1, 127],
    [1, 131],
  ])('padding: something in tensor %i at %i, with the right checksum', async (index, at) => {
    const change = (value: number) => {
      let start = 0;
      let damaged = new Uint8Array(0);
      const file = forge({
        directory: ({ tensors }) => {
          const entry = tensors[index] as { offset: number; size: number; crc32: string };
          start = Number(new DataView(intact.buffer).getBigUint64(32, true)) + entry.offset;
          damaged = intact.slice(start, start + entry.size);
          damaged[at] = value;
          entry.crc32 = crc32(damaged).toString(16).padStart(8, '0');
        },
      });
      file.set(damaged, start);
      return ruleOf(async () => readAll(await openQnat(bytesSource(file))));
    };
    expect(await change(1)).toBe('qnat/padding');
    expect(await change(0)).toBe('accepted');
  });

  it('header-checksum: a header that was not made right again', async () => {
    const file = forge({});
    file[8] = 6;
    expect(await ruleOf(() => openQnat(bytesSource(file)))).toBe('qnat/header-checksum');
  });

  it('truncated: fewer bytes than a header', async () => {
    for (const length of [0, 7, 8, 63])
      expect(await ruleOf(() => openQnat(bytesSource(intact.subarray(0, length))))).toBe('qnat/truncated');
  });

  it('directory-size: a directory beyond the limit, without reading it', async () => {
    const size = 2 ** 50;
    const head = forge({
      header: (view) => {
        view.setBigUint64(24, BigInt(2 ** 40), true);
        view.setBigUint64(32, BigInt(2 ** 40 + 64), true);
        view.setBigUint64(40, BigInt(size - 2 ** 40 - 64), true);
      },
    });
    const reads: number[] = [];
    const read = async (offset: number, length: number) => {
      reads.push(length);
      return head.slice(offset, offset + length);
    };
    expect(await ruleOf(() => openQnat({ ...bytesSource(head), size, read }))).toBe('qnat/directory-size');
    expect(reads).toEqual([64]);
  });

  it('and every rule that the sources name has a case', () => {
    const apart = ['header-checksum', 'truncated', 'directory-size'];
    expect([...new Set([...cases.map(([rule]) => rule), ...apart])].sort()).toEqual(
      rulesIn('reader', 'header', 'directory', 'json-scan'),
    );
  });
});

describe('a directory that is made to cost', () => {
  const opened = (change: Change) => ruleOf(() => openQnat(bytesSource(forge(change))));

  it('is refused before anything is built of it, if it nests too deep or holds too much', async () => {
    const parse = vi.spyOn(JSON, 'parse');
    try {
      for (const filler of ['['.repeat(65), `[${'[],'.repeat(LIMITS.directoryValues / 2)}[]]`]) {
        const file = forge(text('"test"', filler));
        parse.mockClear();
        expect(await ruleOf(() => openQnat(bytesSource(file)))).toMatch(/^qnat\/directory-(depth|values)$/);
        expect(parse).not.toHaveBeenCalled();
      }
    } finally {
      parse.mockRestore();
    }
  });

  it('is taken at the limit of depth', async () => {
    // Two brackets are open around the place.
    expect(await opened(text('"test"', deep(62)))).toBe('accepted');
    expect(await opened(text('"test"', deep(63)))).toBe('qnat/directory-depth');
  });

  it('is taken with many keys, long texts and large numbers, as long as they are honest', async () => {
    const keys = Array.from({ length: 100_000 }, (_, i) => `"k${i}":${i}`).join(',');
    expect(await opened(text('"test"', `{${keys}}`))).toBe('accepted');
    expect(await opened(text('"test"', JSON.stringify('\\"[{,'.repeat(200_000))))).toBe('accepted');
    expect(await opened(text('"test"', `[1e308,-1e308,1e-999,${'0'.padStart(300, '9')}]`))).toBe('accepted');
    expect(await opened(text('"test"', '"\\ud83d\\ude00 \\u00e4"'))).toBe('accepted');
  });

  it('gives messages that are short', async () => {
    const long = 'x'.repeat(100_000);
    for (const change of [
      field(0, 'dtype', long),
      field(0, 'shape', Array(1000).fill(-1)),
      field(0, long, 1),
      field(1, 'scheme', long),
      text('"test"', `{"${long}":1,"${long}":2}`),
      field(0, 'name', long),
    ]) {
      const error = await openQnat(bytesSource(forge(change))).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(QloraError);
      expect((error as QloraError).message.length).toBeLessThan(600);
    }
  });
});

describe('damage', () => {
  it('of any one byte is noticed', async () => {
    for (let at = 0; at < intact.length; at++) {
      const file = intact.slice();
      file[at] = (file[at] ?? 0) ^ (1 << (at % 8));
      const rule = await ruleOf(async () => readAll(await openQnat(bytesSource(file))));
      if (!rule.startsWith('qnat/')) throw new Error(`byte ${at}: ${rule}`);
    }
  });

  it('at the end is noticed when the file is opened, whatever is missing or too much', async () => {
    for (let length = 0; length < intact.length; length++)
      expect(await ruleOf(() => openQnat(bytesSource(intact.subarray(0, length))))).toMatch(/^qnat\//);
    expect(await ruleOf(() => openQnat(bytesSource(Uint8Array.of(...intact, 0))))).toBe('qnat/file-size');
  });

  it('of the directory gives no other error than a QloraError, even with the right checksum', async () => {
    const size = Number(new DataView(intact.buffer).getBigUint64(24, true));
    const edit = fc.record({ at: fc.nat(size - 1), value: fc.integer({ min: 32, max: 126 }) });
    const property = fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
      const raw = (bytes: Uint8Array) => {
        for (const { at, value } of edits) bytes[at] = value;
      };
      await ruleOf(async () => readAll(await openQnat(bytesSource(forge({ raw })))));
    });
    await fc.assert(property, { numRuns: 3000 });
  });

  it('any JSON in the place of an entry gives no other error than a QloraError', async () => {
    const known = [
      'name',
      'dtype',
      'shape',
      'scheme',
      'strategy',
      'axis',
      'block_size',
      'size',
      'offset',
      'sections',
      'crc32',
      'nested_map',
      'nested_block_size',
      '__proto__',
    ];
    const property = fc.asyncProperty(
      fc.integer({ min: 0, max: 2 }),
      fc.constantFrom(...known),
      fc.oneof(
        fc.jsonValue(),
        fc.integer(),
        fc.array(fc.integer()),
        fc.constantFrom('f32', 'nf4', 'per-channel'),
      ),
      async (index, name, value) => {
        const directory = ({ tensors }: Json) => {
          Object.defineProperty(tensors[index], name, { value, enumerable: true, configurable: true });
        };
        await ruleOf(async () => readAll(await openQnat(bytesSource(forge({ directory })))));
      },
    );
    await fc.assert(property, { numRuns: 2000 });
  });
});

describe('an open file', () => {
  it('says which tensors there are when asked for one that is not', async () => {
    const file = await openQnat(bytesSource(intact, 'test.qnat'));
    await expect(file.read('no')).rejects.toThrow(
      'test.qnat: no tensor named "no". It has 3: norm, weight, zero.point.',
    );
    await expect(file.readQuantized('norm')).rejects.toThrow('tensor "norm" is not quantized');
  });

  it('is no QNAT file when it is another: the error says so', async () => {
    const gguf = new Uint8Array(100);
    gguf.set([0x47, 0x47, 0x55, 0x46]);
    await expect(openQnat(bytesSource(gguf, 'model.gguf'))).rejects.toThrow(
      'model.gguf: does not begin with "QNAT". Is it another format?',
    );
  });
});
