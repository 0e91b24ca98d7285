import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readResult, writeResult } from './result';
import { benchResult, contender, measuredCase } from './testing/results';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qlora-bench-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('a run comes back as it was written, with five digits', async () => {
  const path = join(folder, 'run.json');
  const result = benchResult([measuredCase('a', [contender('qlora@1', [1.23456789, 2])])]);
  await writeResult(path, result);
  const back = await readResult(path);
  expect(back.cases[0]?.contenders[0]?.ms).toEqual([1.2346, 2]);
  expect({ ...back, cases: [] }).toEqual({ ...result, cases: [] });
});

it('what is no run is refused by what is wrong with it', async () => {
  const path = join(folder, 'other.json');
  await expect(readResult(path)).rejects.toThrow(/cannot be read.*--json FILE/s);
  await writeFile(path, '{');
  await expect(readResult(path)).rejects.toThrow(/is no JSON/);
  await writeFile(path, JSON.stringify({ ...benchResult([]), version: 2 }));
  await expect(readResult(path)).rejects.toThrow(/no result of the benchmark: version/);
});
