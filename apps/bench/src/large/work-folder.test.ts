// Where the model is made, and that nothing else is removed with it.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { checkSpace, diskOf, workFolder } from './work-folder';

const work = mkdtempSync(join(tmpdir(), 'qlora-large-test-'));
afterAll(() => rmSync(work, { recursive: true }));

describe('the folder of a run', () => {
  it('is a new one unless somebody names one, and goes with what is in it', async () => {
    const folder = await workFolder(undefined, false);
    writeFileSync(join(folder.path, 'file'), 'x');
    await folder.remove();
    expect(existsSync(folder.path)).toBe(false);
  });
  it('stays if it was there, empty as it was', async () => {
    const path = join(work, 'empty');
    mkdirSync(path);
    const folder = await workFolder(path, false);
    mkdirSync(join(path, 'model'));
    await folder.remove();
    expect(readdirSync(path)).toEqual([]);
  });
  it('is refused if there is something in it, which stays', async () => {
    const path = join(work, 'full');
    mkdirSync(path);
    writeFileSync(join(path, 'thesis'), 'x');
    await expect(workFolder(path, false)).rejects.toThrow(/not empty.*new folder/);
    expect(readdirSync(path)).toEqual(['thesis']);
    await expect(workFolder(join(path, 'thesis'), false)).rejects.toThrow(/not a folder|is a file/);
  });
  it('stays with --keep', async () => {
    const folder = await workFolder(join(work, 'kept'), true);
    writeFileSync(join(folder.path, 'file'), 'x');
    await folder.remove();
    expect(readdirSync(folder.path)).toEqual(['file']);
  });
});

describe('the disk', () => {
  it('has free space, and too little is refused', async () => {
    const { free } = await diskOf(work);
    expect(free).toBeGreaterThan(0);
    expect(() => checkSpace(work, 41e9, 41e9)).not.toThrow();
    expect(() => checkSpace(work, 3e9, 41.4e9)).toThrow(/41\.4 GB are needed .* 3\.00 GB are free.*--dir/);
  });
});
