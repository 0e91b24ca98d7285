// Small files read whole.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ifThere, readJsonObject, readSmallFile } from './node';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qlora-test-'));
  path = join(folder, 'a.json');
});
afterEach(() => rm(folder, { recursive: true }));

it('a JSON object is read, a byte order mark passed over', async () => {
  await writeFile(path, '\uFEFF{"a": [1]}');
  expect(await readJsonObject(path)).toEqual({ a: [1] });
});

it.each([
  ['{', /a\.json: is no JSON: /],
  ['null', /a\.json: is no JSON object/],
  ['[]', /a\.json: is no JSON object/],
])('%j is refused', async (text, message) => {
  await writeFile(path, text);
  await expect(readJsonObject(path)).rejects.toThrow(message);
});

it('a file beyond the limit is refused', async () => {
  await writeFile(path, 'abcd');
  await expect(readSmallFile(path, 3)).rejects.toThrow(/has 4 bytes.*3 are the most/);
  expect(await readSmallFile(path, 4)).toHaveLength(4);
});

it('what is not there is undefined if that is allowed, and other failures are not', async () => {
  await expect(readJsonObject(path)).rejects.toThrow(/no such file/);
  expect(await ifThere(readJsonObject(path))).toBeUndefined();
  await expect(ifThere(readSmallFile(folder))).rejects.toThrow(/is a folder/);
  await writeFile(path, '[');
  await expect(ifThere(readJsonObject(path))).rejects.toThrow(/is no JSON/);
});
