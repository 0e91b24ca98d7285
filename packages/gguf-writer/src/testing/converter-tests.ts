// Our files beside those of llama.cpp's own converter and llama-quantize, by what tooling/conformance/llama-cpp/families.py wrote
// of them: the tensors by one digest of their names, types, shapes and bytes, in order; the metadata value by value.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bytesSource } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { type GgufFile, type GgufType, readGguf } from '../index';
import type { GgufValue } from '../value';
import { tinyGguf, tinyImatrix } from './tiny-files';
import { type TinyModel, tinyModels } from './tiny-models';

interface Golden {
  readonly types: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, readonly unknown[]>>;
  /** Keys that differ on purpose; the script says why. */
  readonly different: readonly string[];
}

const { models } = JSON.parse(readFileSync(new URL('../goldens/families.json', import.meta.url), 'utf8')) as {
  models: Readonly<Record<string, Golden>>;
};
const sha = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');

/** A file's tensors as the conformance scripts digest them: names, types, shapes and bytes, in order. */
export async function digest(file: GgufFile): Promise<string> {
  let lines = '';
  for (const { name, layout, shape } of file.tensors) {
    lines += `${name} ${layout?.name.toLowerCase()} [${shape.join(',')}] ${sha(await file.readBytes(name))}\n`;
  }
  return sha(lines);
}

const typeNames: Readonly<Record<string, string>> = {
  u32: 'UINT32',
  f32: 'FLOAT32',
  bool: 'BOOL',
  string: 'STRING',
};

/** A value as the golden has it. */
export function shown(value: GgufValue): readonly unknown[] {
  if (value.type !== 'array') return [typeNames[value.type], value.value];
  // Python writes 0.0 where JavaScript writes 0.
  const items = value.value.map((item) =>
    value.items === 'f32' && Number.isInteger(item)
      ? `${Object.is(item, -0) ? '-0' : item}.0`
      : JSON.stringify(item),
  );
  return ['ARRAY', value.value.length, sha(`[${items.join(',')}]`)];
}

/** Tests of some of the tiny models. */
export function testModels(chosen: readonly TinyModel[]): void {
  it('every model has a golden', () => {
    expect(Object.keys(models)).toEqual(tinyModels.map(({ name }) => name));
  });

  describe.each(chosen)('$name', (model) => {
    const golden = models[model.name] as Golden;

    it.each(Object.keys(golden.types))('in %s has the tensors of llama.cpp, byte for byte', async (kind) => {
      const [type, weighted] = kind.split('+') as [GgufType, string?];
      const imatrix = weighted === undefined ? undefined : await tinyImatrix(model);
      const file = await readGguf(bytesSource(await tinyGguf(model, type, imatrix)));
      expect(await digest(file)).toBe(golden.types[kind]);
    });

    it('has the metadata of llama.cpp', async () => {
      const { metadata } = await readGguf(bytesSource(await tinyGguf(model, 'f32')));
      const ours = Object.fromEntries([...metadata].map(([key, value]) => [key, shown(value)]));
      const theirs = { ...golden.metadata };
      for (const key of golden.different) {
        delete ours[key];
        delete theirs[key];
      }
      expect(ours).toEqual(theirs);
    });
  });
}
