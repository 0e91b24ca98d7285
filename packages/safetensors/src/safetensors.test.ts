// The writer against the reader, and 4-bit weights through both. What the reader reads and refuses is in
// `reader.test.ts`; that the reference implementation agrees is shown by tooling/conformance.

import { dequantizeTensor, quantizingSource } from '@qlora/quant-strategies';
import { bytesOf, bytesSource, memorySink, memorySource, pump, random, tensor } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bitsandbytesSource,
  bitsandbytesView,
  floatRepr,
  openSafetensors,
  parseQuantizationConfig,
  safetensorsSink,
  stateName,
} from './index';

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

it('another quantization method than bitsandbytes in 4 bits is refused by its name', () => {
  expect(parseQuantizationConfig(undefined)).toBeUndefined();
  expect(() => parseQuantizationConfig({ quant_method: 'gptq' })).toThrow(/quant_method is "gptq"/);
  expect(() => parseQuantizationConfig({ quant_method: 'bitsandbytes', load_in_8bit: true })).toThrow(
    /load_in_4bit/,
  );
});
