// Importance matrices: files that llama-imatrix wrote, what llama-quantize makes with them, and what hostile files meet.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { blockTypeOf } from '@qlora/ggml-blocks';
import { bytesSource, memorySink, QloraError, tensor, viewAs } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GgufValue, ggufSink, importanceOf, readImatrix } from './index';

const golden = (name: string) => readFileSync(new URL(`./goldens/${name}`, import.meta.url));
const expected = JSON.parse(golden('imatrix.json').toString()) as {
  readonly tensor: string;
  readonly shape: readonly number[];
  readonly f16: string;
  readonly blocks: Readonly<Record<'dat' | 'gguf', Readonly<Record<string, string>>>>;
};
const open = (bytes: Uint8Array, label = 'bad.imatrix') => readImatrix(bytesSource(bytes, label));

describe.each(['dat', 'gguf'] as const)('a %s file that llama-imatrix wrote', (form) => {
  it('has the importance of every weight that was multiplied with', async () => {
    const imatrix = await open(golden(`imatrix.${form}`));
    expect(imatrix).toMatchObject({ format: form, chunks: 4, datasets: ['text.txt'] });
    expect(imatrix.entries.size).toBe(35);
    expect(imatrix.entries.get('blk.4.ffn_down.weight')?.length).toBe(172);
    expect(importanceOf(imatrix, 'token_embd.weight', [512, 64])).toBeUndefined();
  });

  it.each(Object.entries(expected.blocks[form]))(
    'gives the blocks that llama-quantize makes with it: %s',
    async (name, sha256) => {
      const imatrix = await open(golden(`imatrix.${form}`));
      const values = blockTypeOf('f16').decode(Uint8Array.from(Buffer.from(expected.f16, 'base64')));
      const importance = importanceOf(imatrix, expected.tensor, expected.shape);
      const bytes = blockTypeOf(name).encode(values, { importance });
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
    },
  );
});

it('both forms say the same, but for rounding', async () => {
  const [dat, gguf] = await Promise.all(['dat', 'gguf'].map((form) => open(golden(`imatrix.${form}`))));
  expect([...dat!.entries.keys()]).toEqual([...gguf!.entries.keys()]);
  for (const [name, importance] of gguf!.entries) {
    dat!.entries.get(name)?.forEach((value, i) => {
      expect(Math.abs(value - importance[i]!)).toBeLessThanOrEqual(2 ** -22 * value);
    });
  }
});

describe('the importance of a tensor', () => {
  const imatrix = {
    ...({ format: 'dat', chunks: 1, datasets: [] } as const),
    entries: new Map([
      ['w', new Float32Array(64)],
      ['token_embd.weight', new Float32Array(3)],
    ]),
  };
  it('has a value a column, or one a column of each stacked matrix', () => {
    expect(importanceOf(imatrix, 'w', [10, 64])).toBe(imatrix.entries.get('w'));
    expect(importanceOf(imatrix, 'w', [2, 10, 32])).toBe(imatrix.entries.get('w'));
    expect(importanceOf(imatrix, 'v', [10, 64])).toBeUndefined();
  });
  it('is refused if it is that of another model', () => {
    expect(() => importanceOf(imatrix, 'w', [64, 10])).toThrow(
      'w: the importance matrix has 64 values, the tensor needs 10.',
    );
    expect(importanceOf(imatrix, 'token_embd.weight', [512, 64])).toBeUndefined();
  });
});

/** A `.dat` file of entries and a trailer. */
function dat(
  entries: readonly { name: string; calls?: number; values: readonly number[]; count?: number }[],
  { count = entries.length, trailer = [] as readonly number[] } = {},
): Uint8Array {
  const parts: Uint8Array[] = [];
  const i32 = (value: number) => parts.push(new Uint8Array(Int32Array.of(value).buffer));
  i32(count);
  for (const { name, calls = 1, values, count: length = values.length } of entries) {
    const bytes = new TextEncoder().encode(name);
    i32(bytes.length);
    parts.push(bytes);
    i32(calls);
    i32(length);
    parts.push(new Uint8Array(Float32Array.from(values).buffer));
  }
  parts.push(Uint8Array.from(trailer));
  return Uint8Array.from(Buffer.concat(parts));
}

it('values are divided by the number of calls, unless that is 0; the trailer may be missing', async () => {
  const file = dat([
    { name: 'a', calls: 3, values: [1, 6] },
    { name: 'b', calls: 0, values: [5] },
  ]);
  const { entries, chunks, datasets } = await open(file);
  expect([...entries]).toEqual([
    ['a', Float32Array.of(1 / 3, 2)],
    ['b', Float32Array.of(5)],
  ]);
  expect([chunks, datasets]).toEqual([0, []]);
  const noName = await open(dat([{ name: 'a', values: [1] }], { trailer: [9, 0, 0, 0] }));
  expect([noName.chunks, noName.datasets]).toEqual([9, []]);
});

const said = new Map<string, GgufValue>([
  ['general.type', { type: 'string', value: 'imatrix' }],
  ['imatrix.datasets', { type: 'array', items: 'string', value: ['a.txt', 'b.txt'] }],
  ['imatrix.chunk_count', { type: 'u32', value: 8 }],
  ['imatrix.chunk_size', { type: 'u32', value: 512 }],
]);

/** A GGUF file of f32 tensors (f16 where the name has a mark). */
async function gguf(tensors: Record<string, readonly number[]>, metadata = said): Promise<Uint8Array> {
  const bytes = memorySink('matrix.gguf');
  const plans = Object.entries(tensors).map(([name, values]) => {
    const type = blockTypeOf(name.startsWith('half') ? 'f16' : 'f32');
    return { name, shape: [values.length], type };
  });
  const sink = await ggufSink(bytes, { metadata, tensors: plans });
  for (const [name, values] of Object.entries(tensors)) {
    await sink.write(name, tensor('f32', [values.length], Float32Array.from(values)));
  }
  await sink.finish();
  return bytes.bytes();
}

it('sums are divided by the count of their matrix; one that was never used counts as 1', async () => {
  const file = await gguf({
    'w.in_sum2': [2, 4, 9, 9, 5, 10],
    'w.counts': [2, 0, 5],
    'x.counts': [1],
    'x.in_sum2': [7],
    other: [1],
  });
  const { entries, chunks, datasets } = await open(file);
  expect([...entries]).toEqual([
    ['w', Float32Array.of(1, 2, 1, 1, 1, 2)],
    ['x', Float32Array.of(7)],
  ]);
  expect([chunks, datasets]).toEqual([8, ['a.txt', 'b.txt']]);
});

const without = (key: string) => new Map([...said].filter(([name]) => name !== key));
const one = { name: 'w', values: [1] };
const pair = { 'w.in_sum2': [1], 'w.counts': [1] };

const hostile: [rule: string, make: () => Uint8Array | Promise<Uint8Array>][] = [
  ['truncated', () => new Uint8Array(0)],
  ['truncated', () => Uint8Array.of(1, 0, 0)],
  ['count', () => dat([])],
  ['count', () => dat([one], { count: -1 })],
  ['count', () => dat([one], { count: 2 })],
  ['count', () => dat([one], { count: 0x7fffffff })],
  ['count', () => dat([{ ...one, calls: -1 }])],
  // Cut in the name of the second entry.
  [
    'truncated',
    () =>
      dat([
        { ...one, values: [1, 2, 3, 4] },
        { ...one, name: 'second' },
      ]).subarray(0, 40),
  ],
  ['name-length', () => dat([{ name: '', values: [1, 2] }])],
  ['name-length', () => dat([{ ...one, name: 'w'.repeat(64) }])],
  ['encoding', () => dat([{ ...one, name: 'w\0w' }])],
  ['encoding', () => Uint8Array.from(dat([{ ...one, name: 'ww' }]), (byte) => (byte === 0x77 ? 0xff : byte))],
  ['duplicate', () => dat([one, one])],
  ['length', () => dat([{ ...one, count: 0 }])],
  ['length', () => dat([{ ...one, count: -5 }])],
  ['length', () => dat([{ ...one, count: 2 }])],
  ['length', () => dat([{ ...one, count: 0x7fffffff }])],
  ['value', () => dat([{ ...one, values: [Number.NaN] }])],
  ['value', () => dat([{ ...one, values: [1, Number.POSITIVE_INFINITY] }])],
  ['value', () => dat([{ ...one, values: [-1] }])],
  ['trailing', () => dat([one], { trailer: [1, 0, 0, 0, 9, 0, 0, 0, 65] })],
  ['trailing', () => dat([one], { trailer: [1, 0, 0, 0, 255, 255, 255, 255] })],
  ['trailing', () => dat([one], { trailer: [1, 0, 0, 0, 0, 0, 0, 0, 65] })],
  ['truncated', () => dat([one], { trailer: [1, 0] })],
  ['type', () => gguf(pair, new Map([...said, ['general.type', { type: 'string', value: 'model' }]]))],
  ['type', () => gguf({ 'half.in_sum2': [1], 'half.counts': [1] })],
  ['metadata', () => gguf(pair, without('imatrix.datasets'))],
  ['metadata', () => gguf(pair, without('imatrix.chunk_count'))],
  ['metadata', () => gguf(pair, without('imatrix.chunk_size'))],
  ['metadata', () => gguf(pair, new Map([...said, ['imatrix.chunk_size', { type: 'f32', value: 1 }]]))],
  ['pair', () => gguf({ 'w.in_sum2': [1] })],
  ['pair', () => gguf({ 'w.counts': [1] })],
  ['shape', () => gguf({ 'w.in_sum2': [1, 2, 3], 'w.counts': [1, 1] })],
  ['value', () => gguf({ 'w.in_sum2': [Number.NaN], 'w.counts': [1] })],
  ['value', () => gguf({ 'w.in_sum2': [-1], 'w.counts': [1] })],
  ['count', () => gguf({ 'w.in_sum2': [1], 'w.counts': [-1] })],
  ['count', () => gguf({ 'w.in_sum2': [1], 'w.counts': [Number.NaN] })],
  ['empty', () => gguf({ w: [1] })],
];

describe('a file that breaks a rule is refused by its name', () => {
  it.each(hostile.map(([rule, make], i) => [rule, i, make] as const))('%s (%i)', async (rule, _, make) => {
    const error = await open(await make()).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(QloraError);
    expect((error as QloraError).rule).toBe(`imatrix/${rule}`);
    expect((error as QloraError).message).toContain('bad.imatrix');
  });

  it.each(['dat', 'gguf'])('and nothing else comes out, whatever the bytes of a %s file', async (form) => {
    const valid = Uint8Array.from(golden(`imatrix.${form}`));
    const change = fc.tuple(fc.oneof(fc.nat(300), fc.nat(valid.length - 1)), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 4 }), fc.nat(valid.length), async (changes, length) => {
        const copy = valid.slice(0, length % 3 === 0 ? length : valid.length);
        for (const [at, byte] of changes) if (at < copy.length) copy[at] = byte;
        const error = await open(copy).catch((caught: unknown) => caught);
        if (error instanceof Error) expect(error).toBeInstanceOf(QloraError);
        else {
          for (const importance of (error as Awaited<ReturnType<typeof open>>).entries.values()) {
            expect(importance.every((value) => value >= 0 && value < Infinity)).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

it('reads what it is told to read and no more: a length is held against the size first', async () => {
  const bytes = dat([{ ...one, count: 0x7fffffff }]);
  const asked: number[] = [];
  const source = bytesSource(bytes);
  const spy = {
    ...source,
    read: (offset: number, length: number) => {
      asked.push(length);
      return source.read(offset, length);
    },
  };
  await expect(readImatrix(spy)).rejects.toThrow(QloraError);
  expect(Math.max(...asked)).toBeLessThanOrEqual(4);
  expect(viewAs('f32', bytes.slice(-4))[0]).toBe(1);
});
