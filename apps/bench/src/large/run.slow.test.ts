// The whole run on a small model, with every step that the command has.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { BENCH_FOLDER } from '../folders';
import { writeLargeResult } from './result';
import { runLarge } from './run';
import { STEPS } from './steps';
import { largeText } from './table';

const work = mkdtempSync(join(tmpdir(), 'qlora-large-test-'));
afterAll(() => rmSync(work, { recursive: true }));
const quiet = { say: () => {}, start: () => {}, nextCase: () => {}, step: () => {}, stop: () => {} };

describe('a run', () => {
  // Above 64 MB, from where the command computes on threads of its own.
  it.each([3e6, 80e6])('on a model of %d bytes measures every step and leaves nothing', async (size) => {
    const folder = join(work, `run-${size}`);
    const options = { size, steps: STEPS, threads: 2, folder, keep: false, dropCaches: false };
    const result = await runLarge(options, quiet);
    expect(existsSync(folder)).toBe(false);
    expect(result.missing.filter(({ failed }) => failed)).toEqual([]);
    const done = [...result.steps.map(({ step }) => step), ...result.missing.map(({ step }) => step)];
    expect(done.sort()).toEqual([...STEPS].sort());
    expect(result.model.bytes).toBeGreaterThan(size);
    expect(result.disk.map(({ bytes }) => bytes)).toEqual([result.model.bytes, result.model.bytes]);
    for (const { step, bytesIn, bytesOut, peakBytes, cpuSeconds, tensors, writeSeconds } of result.steps) {
      expect(bytesIn).toBeGreaterThanOrEqual(result.model.bytes);
      expect(peakBytes).toBeGreaterThan(result.idlePeakBytes / 2);
      expect(cpuSeconds).toBeGreaterThan(0.1);
      if (step === 'analyze') continue;
      expect(tensors).toBe(result.model.tensors);
      expect(bytesOut).toBeGreaterThan(size / 5);
      expect(writeSeconds).toBeGreaterThan(0);
    }
    const file = join(work, `${size}.json`);
    await writeLargeResult(file, result);
    expect(JSON.parse(readFileSync(file, 'utf8')).steps).toHaveLength(result.steps.length);
    for (const { step } of result.steps) expect(largeText(result)).toContain(`│ ${step} `);
  });

  it('that is interrupted leaves nothing', async () => {
    const folder = join(work, 'interrupted');
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const main = join(BENCH_FOLDER, 'src/main.ts');
    const child = spawn(
      process.execPath,
      ['--conditions=@qlora/source', '--import', tsx, main, 'large', '--size', '300MB', '--dir', folder],
      { cwd: BENCH_FOLDER, stdio: 'ignore' },
    );
    const ended = new Promise((resolve) => child.once('close', resolve));
    const writes = () => existsSync(folder) && readdirSync(folder).includes('out');
    while (!writes() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(existsSync(folder)).toBe(false);
  });
});
