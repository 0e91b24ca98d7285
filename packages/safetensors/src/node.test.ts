// Which file of a folder is the checkpoint, and what is said if there is none.
import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { MAX_INDEX_BYTES } from './index';
import { openSafetensorsFile, openSafetensorsFolder } from './node';
import { forgeEntries } from './testing/forge';
import { realFiles, realValues, shardedFolder } from './testing/real-files';

const work = mkdtempSync(join(tmpdir(), 'safetensors-'));
afterAll(() => rmSync(work, { recursive: true }));

let folder = '';
let count = 0;
beforeEach(() => {
  folder = join(work, String(count++));
  mkdirSync(folder);
});

const INDEX = 'model.safetensors.index.json';
const put = (name: string, content: string | Uint8Array) => writeFileSync(join(folder, name), content);
const indexOf = (map: Record<string, string>) => put(INDEX, JSON.stringify({ weight_map: map }));
const rule = (name: string) => expect.objectContaining({ rule: `safetensors/${name}` });
const names = async () => {
  const source = await openSafetensorsFolder(folder);
  await source.close();
  return source.tensors.map(({ name }) => name);
};

describe('a folder', () => {
  it('of one file is read', async () => {
    put('model.safetensors', realFiles.get('stories260K') as Uint8Array);
    expect(await names()).toHaveLength(47);
  });

  it('of several files is read by its index', async () => {
    cpSync(fileURLToPath(shardedFolder), folder, { recursive: true });
    expect((await names()).sort()).toEqual(Object.keys(realValues.sharded ?? {}).sort());
  });

  it('with both is read by model.safetensors, and the index is not looked at, as in transformers', async () => {
    put('model.safetensors', forgeEntries([{ name: 'single' }]));
    put(INDEX, 'no JSON');
    expect(await names()).toEqual(['single']);
  });

  it('called model.safetensors inside of it is no file', async () => {
    mkdirSync(join(folder, 'model.safetensors'));
    put('x.safetensors', forgeEntries([{}]));
    indexOf({ a: 'x.safetensors' });
    expect(await names()).toEqual(['a']);
  });

  it('without either is refused, and what is there is named', async () => {
    await expect(openSafetensorsFolder(folder)).rejects.toThrow(/holds no model\.safetensors and no model/);
    put('weights.safetensors', forgeEntries([{}]));
    await expect(openSafetensorsFolder(folder)).rejects.toThrow(
      /only weights\.safetensors\. If that is the model, call it model\.safetensors/,
    );
    await expect(openSafetensorsFolder(join(folder, 'x'))).rejects.toThrow(/no such folder\. Check the path/);
  });

  it('whose files are not all there is refused, and the missing ones are named', async () => {
    put('model-1.safetensors', forgeEntries([{}]));
    indexOf({ a: 'model-1.safetensors', b: 'model-2.safetensors', c: 'model-3.safetensors' });
    const error = await openSafetensorsFolder(folder).catch((caught: unknown) => caught);
    expect(error).toEqual(rule('index-missing-shard'));
    expect(String(error)).toContain('2 of the 3 files that model.safetensors.index.json names are missing');
    expect(String(error)).toContain('model-2.safetensors, model-3.safetensors');
  });

  it('with a file that is broken is refused by the rule, with the path of that file', async () => {
    put('x.safetensors', forgeEntries([{}], 3));
    indexOf({ a: 'x.safetensors' });
    const error = await openSafetensorsFolder(folder).catch((caught: unknown) => caught);
    expect(error).toEqual(rule('incomplete-buffer'));
    expect(String(error)).toContain(join(folder, 'x.safetensors'));
  });

  it('with an index that is too large is refused before the index is read', async () => {
    put(INDEX, '');
    truncateSync(join(folder, INDEX), 2 ** 40); // takes no space
    await expect(openSafetensorsFolder(folder)).rejects.toEqual(rule('index-too-large'));
    truncateSync(join(folder, INDEX), MAX_INDEX_BYTES); // NUL bytes, read to the first
    await expect(openSafetensorsFolder(folder)).rejects.toEqual(rule('index-weight-map'));
  });
});

it('a file that grows a header on the disk only is refused before that is read', async () => {
  const path = join(folder, 'x.safetensors');
  put('x.safetensors', Uint8Array.of(0, 0xe1, 0xf5, 5, 0, 0, 0, 0)); // 100 000 000
  await expect(openSafetensorsFile(path)).rejects.toEqual(rule('invalid-header-length'));
});
