// Reading, copying and writing with nothing computed: all bytes, each once.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { random } from '@qlora/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { copyFiles, PIECE, readFiles, writeNew } from './disk';

const work = mkdtempSync(join(tmpdir(), 'qlora-large-test-'));
afterAll(() => rmSync(work, { recursive: true }));

const rng = random(1);
const contents = [2 * PIECE + 12345, 0, 77, PIECE].map((length) => {
  const words = Uint32Array.from({ length: Math.ceil(length / 4) }, () => rng.nextUint32());
  return new Uint8Array(words.buffer, 0, length);
});
const paths = contents.map((bytes, index) => {
  const path = join(work, `file-${index}`);
  writeFileSync(path, bytes);
  return path;
});
const total = contents.reduce((sum, { length }) => sum + length, 0);

describe('files', () => {
  it('are read to their ends', async () => {
    const seen: number[] = [];
    expect(await readFiles(paths, (bytes) => seen.push(bytes))).toBe(total);
    expect(seen.at(-1)).toBe(total);
  });
  it('are copied one behind the other', async () => {
    const copy = join(work, 'copy');
    expect(await copyFiles(paths, copy)).toBe(total);
    expect(Buffer.compare(readFileSync(copy), Buffer.concat(contents))).toBe(0);
    await expect(copyFiles(paths, copy)).rejects.toThrow('EEXIST');
  });
  it('are written to their length', async () => {
    const path = join(work, 'new');
    await writeNew(path, 2500, new Uint8Array(1000).fill(7));
    expect(statSync(path).size).toBe(2500);
    expect(new Set(readFileSync(path))).toEqual(new Set([7]));
  });
});
