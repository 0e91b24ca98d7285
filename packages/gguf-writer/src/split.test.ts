// A model in several files: what is in each, what reads them, and what is refused.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { f32 } from '@qlora/ggml-blocks';
import { type ByteSink, bytesSource, QloraError } from '@qlora/tensor';
import { hasLlamaCpp, loadGguf } from '@qlora-tooling/llama-cpp';
import { describe, expect, it } from 'vitest';
import { type GgufPart, ggufPartName, readGguf, readGgufParts } from './index';
import { splitSink, splitTensors } from './split';
import { tinyGguf, tinyParts } from './testing/tiny-files';
import { type TinyModel, tinyModels } from './testing/tiny-models';

const model = tinyModels[0] as TinyModel;
const runs = await hasLlamaCpp();

const parts = (maxSize: number) => tinyParts(model, 'q8_0', maxSize);

describe('a model in several files', () => {
  it('has names with numbers, metadata in the first, and numbers in all', async () => {
    const files = await parts(50_000);
    expect(files.map(({ name }) => name)).toEqual([
      'llama-2-00001-of-00004.gguf',
      'llama-2-00002-of-00004.gguf',
      'llama-2-00003-of-00004.gguf',
      'llama-2-00004-of-00004.gguf',
    ]);
    const read = await Promise.all(files.map(({ bytes }) => readGguf(bytesSource(bytes))));
    expect(read.map(({ metadata }) => metadata.get('split.no'))).toEqual(
      [0, 1, 2, 3].map((value) => ({ type: 'u16', value })),
    );
    const total = read.reduce((sum, { tensors }) => sum + tensors.length, 0);
    for (const { metadata, tensors } of read) {
      expect(metadata.get('split.count')).toEqual({ type: 'u16', value: 4 });
      expect(metadata.get('split.tensors.count')).toEqual({ type: 'i32', value: total });
      expect(tensors.reduce((sum, { byteLength = 0 }) => sum + byteLength, 0)).toBeLessThanOrEqual(50_000);
    }
    expect(read.map(({ metadata }) => metadata.size > 3)).toEqual([true, false, false, false]);
  });

  it('reads as the model in one file does', async () => {
    const files = await parts(50_000);
    const one = await readGguf(bytesSource(await tinyGguf(model, 'q8_0')));
    const many = await readGgufParts(files.map(({ bytes, name }) => bytesSource(bytes, name)));
    expect([...many.metadata]).toEqual([...one.metadata]);
    expect(many.tensors.map(({ name }) => name)).toEqual(one.tensors.map(({ name }) => name));
    for (const { name } of one.tensors) expect(await many.readBytes(name)).toEqual(await one.readBytes(name));
  });

  it('is one plain file if it fits, under its own name', async () => {
    const [file, ...more] = await parts(1e9);
    expect([file?.name, more]).toEqual(['llama-2.gguf', []]);
    expect(file?.bytes).toEqual(await tinyGguf(model, 'q8_0'));
    expect((await readGgufParts([bytesSource(file?.bytes ?? new Uint8Array())])).version).toBe(3);
  });

  it('drops the files that are open when one cannot be written', async () => {
    for (const maxSize of [1e9, 100]) {
      const open: string[] = [];
      const openPart = async (part: GgufPart): Promise<ByteSink> => {
        const label = ggufPartName('model.gguf', part);
        open.push(label);
        const drop = async () => void open.splice(open.indexOf(label), 1);
        const write = async () => {
          if (part.index + 1 === part.count) throw new Error('the disk is full');
        };
        return { label, write, finish: drop, abort: drop };
      };
      const tensors = ['a', 'b', 'c'].map((name) => ({ name, shape: [20], type: f32 }));
      await expect(splitSink(openPart, { metadata: new Map(), tensors }, maxSize)).rejects.toThrow(
        /disk is full/,
      );
      expect(open).toEqual([]);
    }
  });

  it('gives a tensor that is larger than a file one of its own', async () => {
    const { tensors } = await readGguf(bytesSource(await tinyGguf(model, 'f32')));
    const plans = tensors.map(({ name, shape, type }) => ({ name, shape, type: type as never }));
    expect(splitTensors(plans, 1).every((part) => part.length === 1)).toBe(true);
  });

  it('is refused if parts are missing, out of order, or not of one model', async () => {
    const sources = (await parts(50_000)).map(({ bytes, name }) => bytesSource(bytes, name));
    const [a, b, ...rest] = sources as [(typeof sources)[0], (typeof sources)[0], ...typeof sources];
    const others = (await parts(30_000)).map(({ bytes, name }) => bytesSource(bytes, name));
    const ruleOf = async (given: typeof sources) => {
      const error = await readGgufParts(given).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(QloraError);
      return (error as QloraError).rule;
    };
    expect(await ruleOf([])).toBe('gguf/split-number');
    expect(await ruleOf([a, b])).toBe('gguf/split-number');
    expect(await ruleOf([b, a, ...rest])).toBe('gguf/split-number');
    expect(await ruleOf([a, ...others.slice(1)])).toBe('gguf/split-number');
    const wrong = (await parts(50_000)).map(({ bytes }) => bytes);
    const second = wrong[1] as Uint8Array;
    const at = Buffer.from(second).indexOf('split.tensors.count') + 'split.tensors.count'.length + 4;
    new DataView(second.buffer, second.byteOffset).setInt32(at, 99, true);
    expect(await ruleOf(wrong.map((bytes) => bytesSource(bytes)))).toBe('gguf/split-tensors');
  });

  it.skipIf(!runs)('loads in llama.cpp by its first file', async () => {
    const work = mkdtempSync(join(tmpdir(), 'qlora-split-'));
    const files = await parts(50_000);
    for (const { name, bytes } of files) writeFileSync(join(work, name), bytes);
    writeFileSync(join(work, 'one.gguf'), await tinyGguf(model, 'q8_0'));
    const logits = async (path: string) => {
      const loaded = await loadGguf(join(work, path));
      const rows = await loaded.logits([5, 300, 301]);
      await loaded.dispose();
      return rows;
    };
    expect(await logits('llama-2-00001-of-00004.gguf')).toEqual(await logits('one.gguf'));
    rmSync(work, { recursive: true });
  });
});
