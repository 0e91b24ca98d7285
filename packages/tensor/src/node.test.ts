// Files and folders that appear whole or not at all.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fileSink, fileSource, folderAtomic, removeUnfinished, writeFileAtomic } from './node';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qlora-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('a file is not there before it is finished, and nothing else is after', async () => {
  const path = join(folder, 'sub', 'a.bin');
  const sink = await fileSink(path);
  await sink.write(2, Uint8Array.of(3));
  await sink.write(0, Uint8Array.of(1, 2));
  await expect(readFile(path)).rejects.toThrow('ENOENT');
  await sink.finish();
  expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  expect(await readdir(join(folder, 'sub'))).toEqual(['a.bin']);
});

it('an aborted file leaves nothing, and the old one as it was', async () => {
  const path = join(folder, 'a.bin');
  await writeFileAtomic(path, 'old');
  const sink = await fileSink(path);
  await sink.write(0, Uint8Array.of(9));
  await sink.abort();
  expect(await readdir(folder)).toEqual(['a.bin']);
  expect(await readFile(path, 'utf8')).toBe('old');
});

it('reading says which file is missing, is a folder, or was cut', async () => {
  await expect(fileSource(join(folder, 'none'))).rejects.toThrow(/none: no such file or folder/);
  await expect(fileSource(folder)).rejects.toThrow(/is no file/);
  await writeFile(join(folder, 'a'), 'abc');
  const source = await fileSource(join(folder, 'a'));
  await expect(source.read(2, 5)).rejects.toThrow(/outside its 3 bytes/);
  await source.close();
});

it('a folder that fails half-way leaves nothing behind', async () => {
  const path = join(folder, 'model');
  const build = async (temporary: string) => {
    await writeFile(join(temporary, 'half'), 'x');
    throw new Error('stop');
  };
  await expect(folderAtomic(path, build)).rejects.toThrow('stop');
  expect(await readdir(folder)).toEqual([]);
});

it('a folder with something in it is not replaced unless asked for', async () => {
  const path = join(folder, 'model');
  await mkdir(path);
  await writeFile(join(path, 'old'), 'x');
  const build = (temporary: string) => writeFile(join(temporary, 'new'), 'y');
  await expect(folderAtomic(path, build)).rejects.toThrow(/exists already and is not empty/);
  expect(await readdir(path)).toEqual(['old']);
  await folderAtomic(path, build, { overwrite: true });
  expect(await readdir(path)).toEqual(['new']);
  expect(await readdir(folder)).toEqual(['model']);
});

it('a program that is told to end at once removes what has a temporary name, and nothing that is complete', async () => {
  const whole = await fileSink(join(folder, 'whole'));
  await whole.finish();
  await fileSink(join(folder, 'half'));
  await new Promise<void>((begun) => {
    void folderAtomic(join(folder, 'made'), () => {
      begun();
      return new Promise(() => {});
    });
  });
  expect(await readdir(folder)).toHaveLength(3);
  removeUnfinished();
  expect(await readdir(folder)).toEqual(['whole']);
});
