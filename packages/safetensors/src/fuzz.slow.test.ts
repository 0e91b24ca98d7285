// The fuzzing of `fuzz.test.ts` at length, within bounds of memory and time, and headers at the limit that
// are made to cost.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fuzzSeed, runFuzz } from './testing/fuzz';

it('200 000 files and indexes that chance made wrong are read or refused, in bounded memory and time', async () => {
  const seed = fuzzSeed();
  console.log(`fuzzing safetensors: seed ${seed} (QLORA_FUZZ_SEED=${seed} repeats it)`);
  await runFuzz(seed, 2000); // what is compiled and cached once is not what is measured
  const before = process.memoryUsage();
  const { verdicts, slowestMs, mostRead } = await runFuzz(seed, 200_000);
  const after = process.memoryUsage();
  console.log(
    [...verdicts]
      .sort(([, a], [, b]) => b - a)
      .map(([verdict, count]) => `${count} ${verdict}`)
      .join('\n'),
    `\nslowest ${slowestMs.toFixed(0)} ms, most read ${mostRead.toFixed(1)} times the file's size`,
    `\nresident ${(before.rss / 1e6).toFixed(0)} MB before, ${(after.rss / 1e6).toFixed(0)} MB after`,
  );
  expect([...verdicts.values()].reduce((a, b) => a + b, 0)).toBe(200_000);
  expect(verdicts.size).toBeGreaterThan(25);
  expect(slowestMs).toBeLessThan(10_000);
  expect(after.rss - before.rss).toBeLessThan(500e6);
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(200e6);
});

describe('a header of 100 MB that is made to cost', () => {
  const script = fileURLToPath(new URL('testing/costly-header.ts', import.meta.url));
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  it.each(['tensors', 'axes', 'name', 'escapes', 'spaces'])('%s: is read in a heap of 800 MB', (kind) => {
    const options = ['--max-old-space-size=800', '--conditions=@qlora/source', '--import', 'tsx'];
    const output = execFileSync(process.execPath, [...options, script, kind], {
      cwd: root,
      encoding: 'utf8',
    });
    console.log(output.trim());
    expect(output).toMatch(/^\w+: \d+ tensors in [\d.]+ s/);
  });
});
