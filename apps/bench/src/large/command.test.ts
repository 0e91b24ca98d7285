// The command in a process of its own.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runQlora } from './command';

const work = mkdtempSync(join(tmpdir(), 'qlora-large-test-'));
afterAll(() => rmSync(work, { recursive: true }));
const options = { usageFile: join(work, 'usage.json'), threads: 1 };

describe('a run of the command', () => {
  it('tells the peak of its own memory, not of the process that started it', async () => {
    const mine = new Uint8Array(600e6).fill(1);
    const { lines, peakBytes, cpuSeconds, seconds } = await runQlora(['--version'], options);
    expect(lines).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+/)]);
    expect(peakBytes).toBeGreaterThan(30e6);
    if (process.platform === 'linux') expect(peakBytes).toBeLessThan(mine.length / 2);
    expect(cpuSeconds).toBeGreaterThan(0.05);
    expect(seconds).toBeGreaterThan(0.05);
    expect(existsSync(options.usageFile)).toBe(false);
  });
  it('that fails is an error with its words', async () => {
    const nowhere = join(work, 'nowhere');
    await expect(runQlora(['--json', 'inspect', nowhere], options)).rejects.toThrow(
      /qlora --json inspect .*nowhere: ended with 1: .*no such file or folder/,
    );
    await expect(runQlora(['frobnicate'], options)).rejects.toThrow(/unknown command 'frobnicate'/);
  });
});
