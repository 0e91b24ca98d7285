// `qlora inspect` on files of every kind, odd and damaged ones among them.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { f32 } from '@qlora/ggml-blocks';
import { ggufSink } from '@qlora/gguf-writer';
import { tensor } from '@qlora/tensor';
import { fileSink } from '@qlora/tensor/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  events,
  expectRefusal,
  lastEvent,
  makeModelFolder,
  outcomeOf,
  qlora,
  startQlora,
  writeTensors,
} from './testing';
import type { Inspection } from './verbs/inspect';

const work = mkdtempSync(join(tmpdir(), 'qlora-inspect-'));
const model = join(work, 'model');
const gguf = join(work, 'model.gguf');
const qnat = join(work, 'model.qnat');
afterAll(() => rmSync(work, { recursive: true }));
beforeAll(async () => {
  await makeModelFolder(model);
  for (const [kind, out] of [
    ['gguf', gguf],
    ['qnat', qnat],
  ] as const)
    expect((await qlora('export', kind, model, '--out', out)).code).toBe(0);
});
const inspect = async (path: string) => lastEvent(await events('inspect', path), 'inspected');
const file = (name: string, content: string | Uint8Array) => {
  writeFileSync(join(work, name), content);
  return join(work, name);
};

describe('what it lists', () => {
  it('a single safetensors file, with types that cannot be computed with', async () => {
    const header = JSON.stringify({
      __metadata__: { format: 'pt' },
      a: { dtype: 'F8_E4M3', shape: [2, 3], data_offsets: [0, 6] },
      b: { dtype: 'I64', shape: [], data_offsets: [6, 14] },
    });
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(header.length));
    const path = file('odd.safetensors', Buffer.concat([head, Buffer.from(header), Buffer.alloc(14)]));
    expect(await inspect(path)).toEqual({
      event: 'inspected',
      format: 'safetensors',
      metadata: { format: 'pt' },
      tensors: [
        { name: 'a', dtype: 'f8_e4m3', shape: [2, 3], bytes: 6 },
        { name: 'b', dtype: 'i64', shape: [], bytes: 8 },
      ],
      types: [
        { dtype: 'i64', tensors: 1, values: 1, bytes: 8 },
        { dtype: 'f8_e4m3', tensors: 1, values: 6, bytes: 6 },
      ],
    });
  });
  it('a file with no tensors', async () => {
    const path = join(work, 'none.safetensors');
    await writeTensors(path, new Map());
    expect((await inspect(path)).tensors).toEqual([]);
    expect((await qlora('inspect', path)).stdout).toMatch(/^safetensors: 0 tensors, 0 values, 0 B/);
  });
  it('every kind of value that GGUF metadata has, 64-bit integers among them', async () => {
    const path = join(work, 'values.gguf');
    const sink = await ggufSink(await fileSink(path), {
      metadata: new Map([
        ['general.architecture', { type: 'string', value: 'llama' }],
        ['small', { type: 'u64', value: 7n }],
        ['large', { type: 'u64', value: 2n ** 63n }],
        ['list', { type: 'array', items: 'i64', value: [-1n, 2n ** 60n] }],
        ['truth', { type: 'bool', value: true }],
      ]),
      tensors: [{ name: 'x', shape: [2], type: f32 }],
    });
    await sink.write('x', tensor('f32', [2], Float32Array.of(1, 2)));
    await sink.finish();
    // What a JSON number cannot hold exactly is its digits.
    expect((await inspect(path)).metadata).toMatchObject({
      small: 7,
      large: '9223372036854775808',
      list: [-1, '1152921504606846976'],
      truth: true,
    });
    expect((await qlora('inspect', path)).stdout).toContain('large = "9223372036854775808"');
  });
});

describe('a GGUF file', () => {
  /** Lines of a table, without its frame. */
  const rows = (text: string) =>
    text.split('\n').map((line) =>
      line
        .split(/[│]/)
        .map((cell) => cell.trim())
        .filter(Boolean)
        .join(' '),
    );

  it('is summed up by type: tensors, values, bytes, bits a value', async () => {
    const { stdout } = await qlora('inspect', gguf);
    const { tensors, types } = (await inspect(gguf)) as unknown as Inspection;
    const total = (dtype: string) =>
      tensors.filter((one) => one.dtype === dtype).reduce((sum, one) => sum + one.bytes, 0);
    expect(types.map(({ dtype }) => dtype)).toEqual(['q8_0', 'f16', 'f32']);
    for (const { dtype, bytes } of types) expect(bytes).toBe(total(dtype));
    const [blocks, half] = types;
    expect(blocks?.bytes).toBe((34 / 32) * (blocks?.values ?? 0));
    expect(half?.bytes).toBe(2 * (half?.values ?? 0));
    expect(rows(stdout)).toContainEqual(expect.stringMatching(/^f16 \d+ [\d,]+ [\d.]+ KB [\d.]+ % 16\.00$/));
    expect(stdout).toMatch(
      /^GGUF version 3: \d+ tensors, [\d,]+ values, [\d.]+ KB, \d+\.\d\d bits a value\n/,
    );
    expect(stdout).toMatch(/tokenizer\.ggml\.tokens = \["[^\n]*, … \d+ in all\]\n/);
  });

  it('of a model in several files stands for all of them', async () => {
    const parts = join(work, 'parts');
    mkdirSync(parts);
    const out = join(parts, 'm.gguf');
    expect((await qlora('export', 'gguf', model, '--out', out, '--split-max-size', '20KB')).code).toBe(0);
    const names = readdirSync(parts).sort();
    expect(names.length).toBeGreaterThan(1);
    const whole = (await inspect(gguf)) as unknown as Inspection;
    for (const name of [names[0], names.at(-1)]) {
      const all = (await inspect(join(parts, name ?? ''))) as unknown as Inspection;
      expect(all.format).toBe(`GGUF version 3 in ${names.length} files`);
      expect([all.tensors, all.types]).toEqual([whole.tensors, whole.types]);
      expect(Object.keys(all.metadata)).toEqual(Object.keys(whole.metadata));
    }
    rmSync(join(parts, names[1] ?? ''));
    const alone = await qlora('inspect', join(parts, names[0] ?? ''));
    expect(alone.stderr).toContain(`is one of ${names.length} files of a model; `);
    expect(alone.stderr).toContain(`${names[1]} is not here`);
    expect(alone.stdout).toMatch(/^GGUF version 3: /);
  });

  it('has names and texts that cannot steer the terminal, or look like lines of the list', async () => {
    const path = join(work, 'steering.gguf');
    const sink = await ggufSink(await fileSink(path), {
      metadata: new Map([
        ['a\n  general.name = "safe', { type: 'string', value: 'x\n\x1b[2J' }],
        ['list', { type: 'array', items: 'string', value: ['\u202e', 'y'.repeat(1000)] }],
      ]),
      tensors: [{ name: 'w\n\x9b2J', shape: [2], type: f32 }],
    });
    await sink.write('w\n\x9b2J', tensor('f32', [2], Float32Array.of(1, 2)));
    await sink.finish();
    const { stdout } = await qlora('inspect', path);
    expect(stdout).toContain('  "a\\u{a}  general.name = "safe" = "x\\n\\u001b[2J"\n');
    expect(stdout).toContain('  list = ["\\u{202e}", "yyy');
    expect(stdout).toContain('(1002 characters)]\n');
    expect(stdout).toContain('"w\\u{a}\\u{9b}2J"');
    for (const character of ['\x1b', '\x9b', '\u202e']) expect(stdout).not.toContain(character);
  });
});

it('bears a reader that goes away', async () => {
  const child = startQlora('inspect', gguf);
  child.stdout.destroy();
  expect(await outcomeOf(child)).toEqual({ code: 0, stdout: '', stderr: '' });
});

describe('what it refuses', () => {
  it('a path that is not there, a folder of something else, a file of something else', async () => {
    await expectRefusal(work, ['inspect', join(work, 'none')], /none: no such file or folder/);
    mkdirSync(join(work, 'empty'));
    await expectRefusal(work, ['inspect', join(work, 'empty')], /empty: holds no model\.safetensors/);
    const path = file('notes.txt', 'GGUX');
    await expectRefusal(
      work,
      ['inspect', path],
      /notes\.txt: is no GGUF, QNAT or safetensors file\. Name one/,
    );
    await expectRefusal(
      work,
      ['inspect', file('nothing', '')],
      /nothing: is no GGUF, QNAT or safetensors file/,
    );
  });
  it.each([
    ['gguf', () => gguf],
    ['qnat', () => qnat],
    ['safetensors', () => join(model, 'model.safetensors')],
  ])('a %s file that is cut anywhere in its head, or at its end', async (kind, whole) => {
    const bytes = readFileSync(whole());
    for (const length of [4, 8, 12, 20, 40, 100, 1000, bytes.length - 1]) {
      const path = file(`cut.${kind}`, bytes.subarray(0, length));
      await expectRefusal(work, ['inspect', path], new RegExp(`cut\\.${kind}.*: `));
    }
  });
  it.each([
    ['gguf', () => gguf],
    ['qnat', () => qnat],
    ['safetensors', () => join(model, 'model.safetensors')],
  ])('a %s file whose head has a wrong byte is listed or refused, but nothing else', async (kind, whole) => {
    const bytes = readFileSync(whole());
    let refused = 0;
    for (let at = 0; at < 160; at += 3) {
      const wrong = Buffer.from(bytes);
      wrong[at] = (wrong[at] ?? 0) ^ 0xff;
      const { code, stdout, stderr } = await qlora('inspect', file(`wrong.${kind}`, wrong));
      expect([code === 1 ? stdout : stderr]).toEqual(['']);
      if (code === 1) {
        expect(stderr).toMatch(/^error .*wrong\.\w+.*: .*\n$/);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(10);
  });
});
