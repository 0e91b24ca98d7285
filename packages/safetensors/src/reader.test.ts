// The reader against every rule of the format: files that break one, files that look as if they did, and
// files of the reference implementation, whose own verdicts tooling/conformance/safetensors compares.
import { readFileSync } from 'node:fs';
import { bytesOf, bytesSource, QloraError } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { FILE_DTYPES, fileDType } from './dtypes';
import { bitsandbytesSource, openSafetensors, readSafetensorsHeader } from './index';
import { SAFETENSORS_RULES } from './rules';
import { brokenFiles } from './testing/broken-files';
import { type ForgedEntry, forge, forgeEntries } from './testing/forge';
import { oddFiles } from './testing/odd-files';
import { probeFile } from './testing/probe';
import { realFiles, realValues } from './testing/real-files';

const open = (bytes: Uint8Array) => openSafetensors(bytesSource(bytes, 'test.safetensors'));

/** What opening a file of these entries says. */
async function refusal(...entries: ForgedEntry[]): Promise<string> {
  const error = await open(forgeEntries(entries)).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(QloraError);
  return (error as QloraError).message;
}

describe('a file that breaks a rule is refused by its name', () => {
  it.each(brokenFiles)('$rule: $name', async ({ rule, bytes }) => {
    const error = await open(bytes).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(QloraError);
    expect((error as QloraError).rule).toBe(`safetensors/${rule}`);
    expect((error as QloraError).message).toContain('test.safetensors');
    expect((error as QloraError).message.length).toBeLessThan(600);
  });

  it('each rule has a file that breaks it, and a line in the README with the names of the reference', () => {
    expect([...new Set(brokenFiles.map(({ rule }) => rule as string))].sort()).toEqual(
      Object.keys(SAFETENSORS_RULES).sort(),
    );
    expect(new Set(brokenFiles.map(({ name }) => name)).size).toBe(brokenFiles.length);
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const table = [...readme.matchAll(/^\| `([a-z\d-]+)` \|.*\| ([^|]*) \|$/gm)];
    const rows = table.map(([, rule, last = '']) => {
      const variants = [...last.matchAll(/`([A-Z]\w+)`/g)].map(([, variant]) => variant);
      return [rule, last.includes('accepted') ? [...variants, 'none'].sort() : variants.sort()];
    });
    const rules = Object.entries(SAFETENSORS_RULES).map(([rule, variants]) => [rule, [...variants].sort()]);
    expect(rows).toEqual(rules);
    expect(readme).toContain(
      `${brokenFiles.length} files that break a rule, ${oddFiles.length} that only look so`,
    );
  });
});

describe('a file that only looks wrong is read', () => {
  it.each(oddFiles)('$name', async ({ bytes, tensors }) => {
    const { entries } = await readSafetensorsHeader(bytesSource(bytes));
    expect(entries.map(({ name }) => name)).toEqual(tensors);
    expect((await probeFile(bytes)).verdict).toBe('accepted');
  });

  it('and metadata may have keys of any name', async () => {
    const { metadata } = await open(
      forge('{"__metadata__":{"__proto__":"a","constructor":"b","":"\\u0000","é":"\\ud83d\\ude00"}}'),
    );
    expect([...metadata]).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['', '\0'],
      ['é', '😀'],
    ]);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

describe('files of the real libraries', () => {
  it.each([...realFiles])('%s: every tensor has the bytes that the library reads', async (name, file) => {
    const source = await open(file);
    const values = new Map(Object.entries(realValues[`${name}.safetensors`] ?? {}));
    expect([...source.tensors.map((info) => info.name), ...source.unreadable.keys()].sort()).toEqual(
      [...values.keys()].sort(),
    );
    for (const info of source.tensors) {
      const { data } = await source.read(info.name);
      expect(Buffer.from(bytesOf(data)).toString('hex')).toBe(values.get(info.name));
    }
  });

  it('every type that can be held comes as itself, the others are listed', async () => {
    const source = await open(realFiles.get('every-dtype') as Uint8Array);
    const dtypes = new Map(source.tensors.map(({ name, dtype }) => [name, dtype]));
    expect(Object.fromEntries(dtypes)).toEqual({
      'torch.float64': 'f64',
      'torch.float32': 'f32',
      'torch.float16': 'f16',
      'torch.bfloat16': 'bf16',
      'torch.int64': 'i64',
      'torch.uint64': 'u64',
      'torch.int32': 'i32',
      'torch.uint32': 'u32',
      'torch.int16': 'i16',
      'torch.uint16': 'u16',
      'torch.int8': 'i8',
      'torch.uint8': 'u8',
      'torch.bool': 'bool',
      scalar: 'bf16',
      empty: 'f32',
      cube: 'i16',
    });
    expect(Object.fromEntries(source.unreadable)).toEqual({
      'torch.complex64': 'C64',
      'torch.float8_e4m3fn': 'F8_E4M3',
      'torch.float8_e4m3fnuz': 'F8_E4M3FNUZ',
      'torch.float8_e5m2': 'F8_E5M2',
      'torch.float8_e5m2fnuz': 'F8_E5M2FNUZ',
      'torch.float8_e8m0fnu': 'F8_E8M0',
      'torch.float4_e2m1fn_x2': 'F4',
    });
    expect((await source.read('scalar')).shape).toEqual([]);
    expect((await source.read('empty')).shape).toEqual([3, 0, 2]);
    expect([...(await source.read('cube')).data]).toEqual(Array.from({ length: 24 }, (_, i) => i));
  });

  it('4-bit weights of bitsandbytes decode to the values that it decodes', async () => {
    const source = await bitsandbytesSource(await open(realFiles.get('bitsandbytes') as Uint8Array));
    for (const [name, expected] of Object.entries(
      realValues['bitsandbytes.safetensors, dequantized'] ?? {},
    )) {
      const { dtype, shape, data } = await source.read(name);
      expect([dtype, shape]).toEqual(['f32', [9, 64]]);
      expect(Buffer.from(bytesOf(data)).toString('hex')).toBe(expected);
    }
  });
});

describe('reading', () => {
  it('a type that cannot be computed with is listed apart and refused with the reason', async () => {
    const unknown = FILE_DTYPES.filter((name) => fileDType(name)?.dtype === undefined);
    expect(unknown).toHaveLength(9);
    for (const dtype of unknown) {
      const shape = `[${(24 * 8) / (fileDType(dtype)?.bits ?? 0)}]`;
      const source = await open(forgeEntries([{ dtype: `"${dtype}"`, shape, offsets: '[0,24]' }], 24));
      expect(source.tensors).toEqual([]);
      expect([...source.unreadable]).toEqual([['a', dtype]]);
      await expect(source.read('a')).rejects.toThrow(`a: is ${dtype}, which cannot be computed with`);
      await expect(source.readRange('a', 0, 1)).rejects.toThrow(`a: is ${dtype}`);
    }
  });

  it('takes no memory where the data lies well, and one copy where it does not', async () => {
    const entry = { dtype: '"F32"', shape: '[2]', offsets: '[0,8]' };
    const file = forgeEntries([entry], new Uint8Array(Float32Array.of(1.5, -2).buffer));
    const headerLength = file.length - 16;
    for (let shift = 0; shift < 8; shift++) {
      const buffer = new ArrayBuffer(file.length + 8);
      const bytes = new Uint8Array(buffer, shift, file.length);
      bytes.set(file);
      const source = await open(bytes);
      const { data } = await source.read('a');
      const part = await source.readRange('a', 1, 1);
      const isAligned = (8 + headerLength + shift) % 4 === 0;
      expect([...data]).toEqual([1.5, -2]);
      expect([...part.data]).toEqual([-2]);
      expect(data.buffer === buffer).toBe(isAligned);
      expect(part.data.buffer === buffer).toBe(isAligned);
      // A view shows what is written to the file's memory later; a copy does not.
      bytes.fill(0, bytes.length - 8);
      expect([...data]).toEqual(isAligned ? [0, 0] : [1.5, -2]);
    }
  });

  it('works on memory that threads share', async () => {
    const file = realFiles.get('stories260K') as Uint8Array;
    const shared = new Uint8Array(new SharedArrayBuffer(file.length));
    shared.set(file);
    const source = await open(shared);
    expect(source.tensors).toHaveLength(47);
    const { data } = await source.read('model.norm.weight');
    expect(data.buffer).toBe(shared.buffer);
  });

  it('opening reads the header alone, and a tensor is read alone', async () => {
    const file = realFiles.get('stories260K') as Uint8Array;
    const inner = bytesSource(file);
    const reads: [number, number][] = [];
    const source = await openSafetensors({
      ...inner,
      read(offset, length) {
        reads.push([offset, length]);
        return inner.read(offset, length);
      },
    });
    const headerLength = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
    expect(reads).toEqual([
      [0, 8],
      [8, headerLength],
    ]);
    await source.read('model.embed_tokens.weight');
    await source.readRange('model.embed_tokens.weight', 3, 2);
    expect(reads.slice(2).map(([, length]) => length)).toEqual([64, 8]);
  });

  it('a name that is long, empty or full of control characters is shown so that a message stays readable', async () => {
    const wrong = { shape: '[5]' };
    expect(await refusal({ ...wrong, name: '' })).toContain('test.safetensors: "": shape [5]');
    expect(await refusal({ ...wrong, name: 'a\\u001b[2J\\u202eb' })).toContain(': "a\\u{1b}[2J\\u{202e}b": ');
    const long = await refusal({ ...wrong, name: 'x'.repeat(1e6) });
    expect(long).toContain(`: "${'x'.repeat(200)}"…: shape`);
    expect(await refusal({ shape: `[${Array(500).fill(2).join()}]` })).toContain(
      'shape [2, 2, 2, 2, 2, 2, 2, 2, … 500 axes] overflows',
    );
    expect(await refusal({ ...wrong, name: 'model.layers.0.weight' })).toContain(': model.layers.0.weight: ');
  });
});
