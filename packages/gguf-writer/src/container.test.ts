// The container: what comes back and what the writer refuses. What the reader refuses is in hostile.test.ts.
import { blockTypeOf } from '@qlora/ggml-blocks';
import { bytesSource, memorySink, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { type GgufValue, ggufSink, readGguf } from './index';

const f32 = (...values: number[]) => tensor('f32', [values.length], Float32Array.from(values));
const metadata = new Map<string, GgufValue>([
  ['general.architecture', { type: 'string', value: 'llama' }],
  ['a.number', { type: 'u32', value: 7 }],
  ['a.large', { type: 'u64', value: 2n ** 60n }],
  ['a.negative', { type: 'i32', value: -5 }],
  ['a.flag', { type: 'bool', value: true }],
  ['a.real', { type: 'f64', value: 0.1 }],
  ['a.list', { type: 'array', items: 'string', value: ['x', 'ä'] }],
  ['a.bytes', { type: 'array', items: 'i8', value: [-1, 2] }],
]);

async function file() {
  const bytes = memorySink('test.gguf');
  const tensors = [
    { name: 'norm', shape: [3], type: blockTypeOf('f32') },
    { name: 'w', shape: [2, 32], type: blockTypeOf('q8_0') },
  ];
  const sink = await ggufSink(bytes, { metadata, tensors });
  await sink.write(
    'w',
    tensor(
      'f32',
      [2, 32],
      Float32Array.from({ length: 64 }, (_, i) => i - 30),
    ),
  );
  await sink.write('norm', f32(1, 2, 3));
  await sink.finish();
  return bytes.bytes();
}

describe('the container', () => {
  it('gives metadata and tensors back, aligned to 32 bytes', async () => {
    const gguf = await readGguf(bytesSource(await file()));
    expect(gguf.version).toBe(3);
    expect([...gguf.metadata]).toEqual([...metadata]);
    expect(gguf.tensors.map(({ name, shape, offset }) => [name, shape, offset % 32])).toEqual([
      ['norm', [3], 0],
      ['w', [2, 32], 0],
    ]);
    expect([...(await gguf.read('norm')).data]).toEqual([1, 2, 3]);
    expect((await gguf.read('w')).data[63]).toBeCloseTo(33, 0);
  });

  it('refuses what ggml cannot hold', async () => {
    const type = blockTypeOf('q8_0');
    const open = (name: string, shape: number[]) =>
      ggufSink(memorySink(), { metadata: new Map(), tensors: [{ name, shape, type }] });
    await expect(open('x'.repeat(64), [32])).rejects.toThrow(/more than 63 bytes/);
    await expect(open('x\0y', [32])).rejects.toThrow(/"x\\u\{0\}y": has a zero in its name/);
    const odd = ggufSink(memorySink(), {
      metadata: new Map([['k\0', { type: 'u8', value: 1 }]]),
      tensors: [],
    });
    await expect(odd).rejects.toThrow(/"k\\u\{0\}": the key has a zero in it/);
    await expect(open('x', [1, 1, 1, 1, 32])).rejects.toThrow(/5 axes/);
    await expect(open('x', [32, 33])).rejects.toThrow(/no whole blocks of 32/);
  });

  it('refuses to finish before every tensor came', async () => {
    const sink = await ggufSink(memorySink(), {
      metadata: new Map(),
      tensors: [{ name: 'x', shape: [1], type: blockTypeOf('f32') }],
    });
    await expect(sink.finish()).rejects.toThrow(/1 announced tensors were not written: x/);
    await expect(sink.write('y', f32(1))).rejects.toThrow(/was not announced/);
  });
});

describe('a tensor that is written in parts', () => {
  const plan = { name: 'w', shape: [4, 32], type: blockTypeOf('f16') };

  /** A sink whose writes end in another order than they began. */
  const slowSink = (): ReturnType<typeof memorySink> => {
    const sink = memorySink('slow');
    let turn = 3;
    return {
      ...sink,
      async write(offset, bytes) {
        await new Promise((resolve) => setTimeout(resolve, 2 * turn--));
        await sink.write(offset, bytes);
      },
    };
  };

  it('is complete when its parts add up to it, several under way at once', async () => {
    const values = Float32Array.from({ length: 128 }, (_, i) => i);
    const blocks = plan.type.encode(values);
    const whole = memorySink('whole');
    const one = await ggufSink(whole, { metadata: new Map(), tensors: [plan] });
    await one.write('w', tensor('f32', [4, 32], values));
    await one.finish();

    const bytes = slowSink();
    const sink = await ggufSink(bytes, { metadata: new Map(), tensors: [plan] });
    const parts = [64, 0, 32, 96].map((start) =>
      sink.writeBlocks('w', start, blocks.subarray(2 * start, 2 * (start + 32))),
    );
    await Promise.all(parts);
    await sink.finish();
    expect(Buffer.compare(bytes.bytes(), whole.bytes())).toBe(0);
  });

  it('is refused where a part begins or ends inside a block', async () => {
    const q8 = { name: 'q', shape: [64], type: blockTypeOf('q8_0') };
    const sink = await ggufSink(memorySink(), { metadata: new Map(), tensors: [q8] });
    await expect(sink.writeBlocks('q', 16, new Uint8Array(34))).rejects.toThrow(/Write whole blocks/);
    await expect(sink.writeBlocks('q', 0, new Uint8Array(17))).rejects.toThrow(/Write whole blocks/);
  });

  it('is refused when a part lies outside, comes twice, or is missing', async () => {
    const sink = await ggufSink(memorySink(), { metadata: new Map(), tensors: [plan] });
    const part = new Uint8Array(64);
    await expect(sink.writeBlocks('w', 112, part)).rejects.toThrow(/64 bytes came for value 112/);
    await sink.writeBlocks('w', 0, part);
    await expect(sink.finish()).rejects.toThrow(/1 announced tensors were not written: w/);
    for (const start of [0, 32, 64]) await sink.writeBlocks('w', start, part);
    await expect(sink.writeBlocks('w', 96, part)).rejects.toThrow(/is written twice/);
  });
});
