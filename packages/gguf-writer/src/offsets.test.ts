// Files of more than 4 GB, without their bytes: what the writer puts where, and what the reader finds there. Real ones are
// written and loaded by tooling/conformance/llama-cpp/large.py.
import { blockTypeOf } from '@qlora/ggml-blocks';
import { type ByteSink, type ByteSource, checkRange, tensor } from '@qlora/tensor';
import { expect, it } from 'vitest';
import { ggufSink, readGguf, readGgufParts } from './index';
import { splitSink } from './split';

const PIECE = 34 * 2 ** 20;
const zeros = new Uint8Array(PIECE);

/** A file in memory that keeps what is not a piece of zeros, and reads zeros where nothing was kept. */
class Sparse implements ByteSink, ByteSource {
  readonly label: string;
  size = 0;
  readonly #kept: [offset: number, bytes: Uint8Array][] = [];
  constructor(label: string) {
    this.label = label;
  }
  async write(offset: number, bytes: Uint8Array) {
    this.size = Math.max(this.size, offset + bytes.length);
    if (bytes !== zeros) this.#kept.push([offset, bytes.slice()]);
  }
  async read(offset: number, length: number) {
    checkRange(this.label, this.size, offset, length);
    const result = new Uint8Array(length);
    for (const [at, bytes] of this.#kept) {
      const from = Math.max(at, offset);
      const to = Math.min(at + bytes.length, offset + length);
      if (from < to) result.set(bytes.subarray(from - at, to - at), from - offset);
    }
    return result;
  }
  async finish() {}
  async abort() {}
  async close() {}
}

const q8 = blockTypeOf('q8_0');
// 6.8 GB and 3.4 GB.
const plans = [
  { name: 'first', shape: [2 ** 19, 12_288], type: q8 },
  { name: 'second', shape: [2 ** 18, 12_288], type: q8 },
  { name: 'last', shape: [3], type: blockTypeOf('f32') },
];
const content = { metadata: new Map(), tensors: plans };
const bytesOf = ({ shape: [rows = 1, columns = 1] }: (typeof plans)[0]) => ((rows * columns) / 32) * 34;
const values = Float32Array.of(1, -2, 3);

async function fill(sink: Awaited<ReturnType<typeof ggufSink>>) {
  await sink.write('last', tensor('f32', [3], values));
  for (const plan of plans.slice(0, 2)) {
    for (let at = 0; at < bytesOf(plan); at += PIECE) {
      await sink.writeBlocks(plan.name, (at / 34) * 32, zeros);
    }
  }
  await sink.finish();
}

it('a tensor beyond 4 GB lies where its offset says', async () => {
  const file = new Sparse('large.gguf');
  await fill(await ggufSink(file, content));
  const { tensors, read } = await readGguf(file);
  const start = tensors[0]?.offset ?? 0;
  const [first, second] = plans.map(bytesOf) as [number, number];
  expect(first).toBeGreaterThan(2 ** 32);
  expect(tensors.map(({ offset }) => offset - start)).toEqual([0, first, first + second]);
  expect(tensors.map(({ byteLength }) => byteLength)).toEqual([first, second, 12]);
  expect(file.size).toBe(start + first + second + 32);
  expect((await read('last')).data).toEqual(values);
});

it('and so it does in parts, one of them larger than 4 GB', async () => {
  const files: Sparse[] = [];
  const open = async ({ index }: { index: number }) => {
    files[index] = new Sparse(`part ${index}`);
    return files[index] as Sparse;
  };
  await fill(await splitSink(open, content, 5e9));
  expect(files.map(({ size }) => size > 2 ** 32)).toEqual([true, false]);
  const { tensors, read } = await readGgufParts(files);
  expect(tensors.map(({ name }) => name)).toEqual(['first', 'second', 'last']);
  expect((await read('last')).data).toEqual(values);
});

it('a file of that size is refused if it ends before its tensors do', async () => {
  const file = new Sparse('large.gguf');
  await fill(await ggufSink(file, content));
  file.size -= 2 ** 31;
  await expect(readGguf(file)).rejects.toThrow(/second: its data ends at 1026\d{7}, the file at 812\d{7}\./);
});
