// The fuzzing of `fuzz.test.ts` at length, and headers at the limits that are made to cost, within bounds of memory.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fuzzSeed, runFuzz } from './testing/fuzz';

it('120 000 files that chance made wrong are read or refused, in bounded memory and time', async () => {
  const seed = fuzzSeed();
  console.log(`fuzzing GGUF: seed ${seed} (QLORA_FUZZ_SEED=${seed} repeats it)`);
  await runFuzz(seed, 5000); // what is compiled and cached once is not what is measured
  const before = process.memoryUsage();
  const { verdicts, slowestMs, mostRead } = await runFuzz(seed, 120_000);
  const after = process.memoryUsage();
  const lines = [...verdicts].sort(([, a], [, b]) => b - a).map(([verdict, count]) => `${count} ${verdict}`);
  console.log(
    lines.join('\n'),
    `\nslowest ${slowestMs.toFixed(0)} ms, most read ${mostRead.toFixed(1)} times the file's size`,
    `\nresident ${(before.rss / 1e6).toFixed(0)} MB before, ${(after.rss / 1e6).toFixed(0)} MB after`,
  );
  expect([...verdicts.values()].reduce((a, b) => a + b, 0)).toBe(120_000);
  expect(verdicts.size).toBeGreaterThan(30);
  expect(mostRead).toBeLessThanOrEqual(4);
  expect(slowestMs).toBeLessThan(10_000);
  expect(after.rss - before.rss).toBeLessThan(500e6);
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(200e6);
});

describe('a header at the limits that is made to cost', () => {
  const script = fileURLToPath(new URL('testing/costly-header.ts', import.meta.url));
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  it.each(['strings', 'numbers', 'entries', 'tensors', 'text'])('%s: is read in a heap of 800 MB', (kind) => {
    const options = ['--max-old-space-size=800', '--conditions=@qlora/source', '--import', 'tsx'];
    const output = execFileSync(process.execPath, [...options, script, kind], {
      cwd: root,
      encoding: 'utf8',
    });
    console.log(output.trim());
    expect(output).toMatch(/^\w+: \d+ MB of header in [\d.]+ s/);
  });
});
