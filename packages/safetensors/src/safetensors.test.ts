// The reader against every rule of the format, the writer against the reader, and both against arbitrary bytes. That the
// reference implementation agrees is shown by the conformance goldens of `@qlora/models`.

import { dequantizeTensor, quantizingSource } from '@qlora/quant-strategies';
import {
  bytesOf,
  bytesSource,
  memorySink,
  memorySource,
  pump,
  QloraError,
  random,
  tensor,
} from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bitsandbytesSource,
  bitsandbytesView,
  floatRepr,
  joinShards,
  openSafetensors,
  parseIndex,
  parseQuantizationConfig,
  safetensorsSink,
  stateName,
} from './index';

/** A file from a header text and data. */
function file(header: string, data = new Uint8Array(0), length = header.length): Uint8Array {
  const bytes = new Uint8Array(8 + header.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(new TextEncoder().encode(header), 8);
  bytes.set(data, 8 + header.length);
  return bytes;
}

const entry = (name: string, dtype: string, shape: string, offsets: string) =>
  `"${name}":{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const four = new Uint8Array(4);

const hostile: [rule: string, bytes: Uint8Array][] = [
  ['header-too-small', new Uint8Array(7)],
  ['header-too-large', file('{}', undefined, 100_000_001)],
  ['invalid-header-length', file('{}', undefined, 50)],
  ['invalid-header-start', file(' {}')],
  ['invalid-header', file('{"a":')],
  ['invalid-header', new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff])],
  ['duplicate-key', file(`{${entry('a', 'U8', '[2]', '[0,2]')},${entry('a', 'U8', '[2]', '[2,4]')}}`, four)],
  ['duplicate-key', file('{"a":{"dtype":"U8","dtype":"F32","shape":[4],"data_offsets":[0,4]}}', four)],
  ['invalid-metadata', file('{"__metadata__":{"a":1}}')],
  ['invalid-metadata', file('{"__metadata__":[]}')],
  ['invalid-entry', file('{"a":7}')],
  ['unknown-field', file('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1}}', four)],
  ['unknown-dtype', file(`{${entry('a', 'F31', '[1]', '[0,4]')}}`, four)],
  ['invalid-shape', file(`{${entry('a', 'U8', '[-4]', '[0,4]')}}`, four)],
  ['invalid-shape', file(`{${entry('a', 'U8', '[1.5]', '[0,4]')}}`, four)],
  ['invalid-shape', file(`{${entry('a', 'U8', '"4"', '[0,4]')}}`, four)],
  ['invalid-offset', file(`{${entry('a', 'U8', '[4]', '[0]')}}`, four)],
  ['invalid-offset', file(`{${entry('a', 'U8', '[4]', '[4,0]')}}`, four)],
  ['invalid-offset', file(`{${entry('a', 'U8', '[2]', '[0,2]')},${entry('b', 'U8', '[2]', '[1,3]')}}`, four)],
  ['invalid-offset', file(`{${entry('a', 'U8', '[1]', '[0,1]')},${entry('b', 'U8', '[2]', '[2,4]')}}`, four)],
  ['invalid-offset', file(`{${entry('a', 'U8', '[3]', '[1,4]')}}`, four)],
  [
    'validation-overflow',
    file(`{${entry('a', 'U8', '[9007199254740991,9007199254740991]', '[0,4]')}}`, four),
  ],
  ['tensor-invalid-info', file(`{${entry('a', 'F32', '[2]', '[0,4]')}}`, four)],
  ['misaligned-slice', file(`{${entry('a', 'F4', '[3]', '[0,4]')}}`, four)],
  ['incomplete-buffer', file(`{${entry('a', 'U8', '[8]', '[0,8]')}}`, four)],
  ['incomplete-buffer', file(`{${entry('a', 'U8', '[2]', '[0,2]')}}`, four)],
];

describe('a file that breaks a rule is refused by its name', () => {
  it.each(hostile)('%s', async (rule, bytes) => {
    const error = await openSafetensors(bytesSource(bytes, 'bad.safetensors')).catch(
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(QloraError);
    expect((error as QloraError).rule).toBe(`safetensors/${rule}`);
    expect((error as QloraError).message).toContain('bad.safetensors');
  });
});

describe('reading', () => {
  it('a type that cannot be computed with is listed apart and refused with the reason', async () => {
    const source = await openSafetensors(
      bytesSource(file(`{${entry('a', 'F8_E4M3', '[4]', '[0,4]')}}`, four)),
    );
    expect(source.tensors).toEqual([]);
    expect([...source.unreadable]).toEqual([['a', 'F8_E4M3']]);
    await expect(source.read('a')).rejects.toThrow(/is F8_E4M3/);
  });
  it('a tensor may be called __proto__', async () => {
    const source = await openSafetensors(
      bytesSource(file(`{${entry('__proto__', 'U8', '[4]', '[0,4]')}}`, four)),
    );
    expect((await source.read('__proto__')).shape).toEqual([4]);
  });
  it('never fails in any other way, whatever the bytes', async () => {
    const valid = file(`{${entry('a', 'U8', '[4]', '[0,4]')}}`, four);
    const mutated = fc
      .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 })
      .map((changes) => {
        const copy = valid.slice();
        for (const [at, byte] of changes) copy[at] = byte;
        return copy;
      });
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 64 }), mutated), async (bytes) => {
        const error = await openSafetensors(bytesSource(bytes)).catch((caught: unknown) => caught);
        if (error instanceof Error) expect(error).toBeInstanceOf(QloraError);
      }),
      { numRuns: 2000 },
    );
  });
});

async function write(...args: Parameters<typeof memorySource>) {
  const source = memorySource(...args);
  const bytes = memorySink();
  await pump(source, await safetensorsSink(bytes, source.tensors, { metadata: source.metadata }));
  return bytes.bytes();
}

describe('writing', () => {
  it('puts tensors in the order of the reference: by dtype, then by name, in a header of whole words', async () => {
    const bytes = await write([
      ['b', tensor('u8', [3], Uint8Array.of(1, 2, 3))],
      ['c', tensor('f32', [1], Float32Array.of(1))],
      ['a', tensor('f32', [1], Float32Array.of(2))],
    ]);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    expect(Object.keys(header)).toEqual(['a', 'c', 'b']);
    expect([...bytes.subarray(-3)]).toEqual([1, 2, 3]);
  });

  it('gives any set of tensors back as it was', async () => {
    const dtype = fc.constantFrom('f32', 'f16', 'bf16', 'u8', 'i64', 'bool', 'f64');
    const shape = fc.array(fc.nat(4), { maxLength: 3 });
    const tensors = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), fc.tuple(dtype, shape), {
      maxKeys: 6,
    });
    await fc.assert(
      fc.asyncProperty(tensors, async (description) => {
        const { zeros } = await import('@qlora/tensor');
        const rng = random(1);
        const made = Object.entries(description)
          .filter(([name]) => name !== '__metadata__')
          .map(([name, [type, dims]]) => {
            const data = zeros(
              type,
              dims.reduce((a, b) => a * b, 1),
            );
            bytesOf(data).forEach((_, i, all) => {
              all[i] = rng.integer(256);
            });
            return [name, tensor(type, dims, data)] as const;
          });
        const source = await openSafetensors(bytesSource(await write(made)));
        expect(source.tensors.length).toBe(made.length);
        for (const [name, original] of made) {
          const back = await source.read(name);
          expect([back.dtype, back.shape]).toEqual([original.dtype, original.shape]);
          expect(bytesOf(back.data)).toEqual(bytesOf(original.data));
        }
      }),
    );
  });

  it('refuses what was not announced, and a file that is not complete', async () => {
    const one = tensor('f32', [1], Float32Array.of(1));
    const sink = await safetensorsSink(memorySink('out'), [{ name: 'a', dtype: 'f32', shape: [1] }]);
    await expect(sink.write('b', one)).rejects.toThrow(/out: b: was not announced/);
    await expect(sink.write('a', tensor('f32', [2], new Float32Array(2)))).rejects.toThrow(
      /f32 \[1\] was announced/,
    );
    await expect(sink.finish()).rejects.toThrow(/1 announced tensors were not written: a/);
    await sink.write('a', one);
    await expect(sink.write('a', one)).rejects.toThrow(/is written twice/);
  });
});

describe('4-bit weights as bitsandbytes stores them', () => {
  const rng = random(2);
  const weight = tensor(
    'bf16',
    [6, 43],
    Uint16Array.from({ length: 6 * 43 }, () => 0x3d00 + rng.integer(0x300)),
  );
  const source = memorySource([
    ['w', weight],
    ['norm', tensor('f32', [2], Float32Array.of(1, 2))],
  ]);

  async function store(options = {}) {
    const quantized = quantizingSource(source, ['w'], options);
    const { source: view, late } = bitsandbytesView(quantized);
    const bytes = memorySink('4bit');
    await pump(view, await safetensorsSink(bytes, view.tensors, { late }));
    return { quantized, file: await openSafetensors(bytesSource(bytes.bytes(), '4bit')) };
  }

  it.each([{}, { doubleQuant: false }, { scheme: 'fp4', blockSize: 128 }])(
    'come back as they were, %o',
    async (options) => {
      const { quantized, file } = await store(options);
      const back = await bitsandbytesSource(file);
      expect(back.tensors.map(({ name }) => name).sort()).toEqual(['norm', 'w']);
      const [a, b] = [await quantized.readQuantized('w'), await back.readQuantized('w')];
      expect(b).toEqual(a);
      expect((await back.read('w')).data).toEqual(dequantizeTensor(a));
    },
  );

  it('say their state in the JSON that Python writes', async () => {
    const { file } = await store();
    const state = await file.read(stateName('w', 'nf4'));
    expect(new TextDecoder().decode(bytesOf(state.data))).toMatch(
      /^\{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": \[6, 43\], "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": \d\.\d+\}$/,
    );
  });

  it.each([
    ['blocksize', { blocksize: 63 * 1000 }, /blocksize is 63000/],
    ['shape', { shape: [6, 44] }, /the codes of w is u8 \[129, 1\]/],
    ['dtype', { dtype: 'int8' }, /dtype is "int8"/],
    ['quant_type', { quant_type: 'fp4' }, /quant_type is "fp4"/],
    ['nested_offset', { nested_offset: 'x' }, /nested_offset is "x"/],
  ])('are refused when their state lies about its %s', async (_, change, message) => {
    const { file } = await store();
    const name = stateName('w', 'nf4');
    const state = JSON.parse(new TextDecoder().decode(bytesOf((await file.read(name)).data)));
    const json = new TextEncoder().encode(JSON.stringify({ ...state, ...change }));
    const lying = {
      ...file,
      read: async (key: string) => (key === name ? tensor('u8', [json.length], json) : file.read(key)),
    };
    await expect(bitsandbytesSource(lying)).rejects.toThrow(message);
  });

  it('cannot hold strategies that bitsandbytes does not have', async () => {
    const quantized = quantizingSource(source, ['w'], { strategy: 'zero-point' });
    expect(() => bitsandbytesView(quantized)).toThrow(/bitsandbytes cannot hold a zero-point bf16 weight/);
  });
});

it('floats are written as Python writes them', () => {
  expect([1, 0.1, 1e-5, 1.5e-7, 1e16, 123456789, -0, 1e22].map(floatRepr)).toEqual([
    '1.0',
    '0.1',
    '1e-05',
    '1.5e-07',
    '1e+16',
    '123456789.0',
    '-0.0',
    '1e+22',
  ]);
});

describe('sharded checkpoints', () => {
  const shard = (name: string) => memorySource([[name, tensor('f32', [1], Float32Array.of(name.length))]]);
  it('read each tensor from its shard', async () => {
    const index = parseIndex({ weight_map: { a: 'x-1.safetensors', bb: 'x-2.safetensors' } }, 'index');
    const source = joinShards(
      'model',
      new Map([
        ['x-1.safetensors', shard('a')],
        ['x-2.safetensors', shard('bb')],
      ]),
      index,
    );
    expect(source.tensors.map(({ name }) => name)).toEqual(['a', 'bb']);
    expect((await source.read('bb')).data[0]).toBe(2);
  });
  it('refuse an index that reaches outside of its folder', () => {
    for (const path of [
      '../secret.safetensors',
      '/etc/x.safetensors',
      'a/b.safetensors',
      '.x.safetensors',
      'x.bin',
      7,
    ]) {
      expect(() => parseIndex({ weight_map: { a: path } }, 'index')).toThrow(/weight_map sends "a" to/);
    }
  });
  it('refuse a shard that lacks what the index promises', () => {
    const index = parseIndex({ weight_map: { b: 'x.safetensors' } }, 'index');
    expect(() => joinShards('model', new Map([['x.safetensors', shard('a')]]), index)).toThrow(
      /promises "b" in x.safetensors/,
    );
  });
});

it('another quantization method than bitsandbytes in 4 bits is refused by its name', () => {
  expect(parseQuantizationConfig(undefined)).toBeUndefined();
  expect(() => parseQuantizationConfig({ quant_method: 'gptq' })).toThrow(/quant_method is "gptq"/);
  expect(() => parseQuantizationConfig({ quant_method: 'bitsandbytes', load_in_8bit: true })).toThrow(
    /load_in_4bit/,
  );
});
