// Every type of metadata value, through our writer and reader and those of gguf-py: what tooling/conformance/llama-cpp/metadata.py
// wrote of it.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bytesSource } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { readGguf } from './index';
import { everyValue, noiseFile } from './testing/fuzz-seeds';
import { type GgufScalar, type GgufValue, VALUE_TYPES } from './value';

const golden = (name: string) => readFileSync(new URL(`goldens/${name}`, import.meta.url));
const { sha256, values } = JSON.parse(golden('values.json').toString()) as {
  sha256: string;
  values: Record<string, unknown[]>;
};
const names: Readonly<Record<keyof typeof VALUE_TYPES, string>> = {
  ...{ u8: 'UINT8', i8: 'INT8', u16: 'UINT16', i16: 'INT16', u32: 'UINT32', i32: 'INT32', f32: 'FLOAT32' },
  ...{ bool: 'BOOL', string: 'STRING', array: 'ARRAY', u64: 'UINT64', i64: 'INT64', f64: 'FLOAT64' },
};

/** A value as the golden has it: integers as their digits. */
function shown(value: GgufValue): unknown[] {
  const type = value.type === 'array' ? value.items : value.type;
  const item = (one: GgufScalar) => (/^[ui]\d/.test(type) ? String(one) : one);
  if (value.type === 'array') return ['ARRAY', names[value.items], value.value.map(item)];
  return [names[value.type], item(value.value)];
}

describe('every type of value, alone, in an array and in an empty one', () => {
  it('is among what is tried', () => {
    const types = [...everyValue.values()].flatMap((value) =>
      value.type === 'array' ? [`array of ${value.items}`] : [value.type],
    );
    expect(new Set(types).size).toBe(2 * (Object.keys(VALUE_TYPES).length - 1));
  });

  it('is written as gguf-py reads it', async () => {
    const bytes = await noiseFile(everyValue, []);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
    expect(Object.fromEntries([...everyValue].map(([key, value]) => [key, shown(value)]))).toEqual(values);
  });

  it('comes back as it was', async () => {
    const { metadata } = await readGguf(bytesSource(await noiseFile(everyValue, [])));
    expect([...metadata]).toEqual([...everyValue]);
  });

  it('is read as gguf-py writes it, which has no empty arrays', async () => {
    const { metadata } = await readGguf(bytesSource(golden('values.gguf')));
    const some = [...everyValue].filter(([, value]) => value.type !== 'array' || value.value.length > 0);
    expect([...metadata]).toEqual(some);
  });
});
