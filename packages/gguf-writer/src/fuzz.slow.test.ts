// The fuzzing of `fuzz.test.ts` at length, and headers at the limits that are made to cost, within bounds of memory.
import { fuzzSeed, runInSmallHeap, verdictLines } from '@qlora-tooling/fuzz';
import { describe, expect, it } from 'vitest';
import { runFuzz } from './testing/fuzz';

it('120 000 files that chance made wrong are read or refused, in bounded memory and time', async () => {
  const seed = fuzzSeed('GGUF');
  await runFuzz(seed, 5000); // what is compiled and cached once is not what is measured
  const before = process.memoryUsage();
  const result = await runFuzz(seed, 120_000);
  const after = process.memoryUsage();
  console.log(
    verdictLines(result),
    `\nslowest ${result.slowestMs.toFixed(0)} ms, most read ${result.most.read?.toFixed(1)} times the file's size`,
    `\nresident ${(before.rss / 1e6).toFixed(0)} MB before, ${(after.rss / 1e6).toFixed(0)} MB after`,
  );
  expect([...result.verdicts.values()].reduce((a, b) => a + b, 0)).toBe(120_000);
  expect(result.verdicts.size).toBeGreaterThan(30);
  expect(result.most.read).toBeLessThanOrEqual(4);
  expect(result.slowestMs).toBeLessThan(10_000);
  expect(after.rss - before.rss).toBeLessThan(500e6);
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(200e6);
});

describe('a header at the limits that is made to cost', () => {
  const script = new URL('testing/costly-header.ts', import.meta.url);
  it.each(['strings', 'numbers', 'entries', 'tensors', 'text'])('%s: is read in a heap of 800 MB', (kind) => {
    const output = runInSmallHeap(script, kind);
    console.log(output);
    expect(output).toMatch(/^\w+: \d+ MB of header in [\d.]+ s/);
  });
});
