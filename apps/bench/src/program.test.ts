// The command line, without measuring.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createProgram } from './program';
import { writeResult } from './result';
import { benchResult, contender, measuredCase } from './testing/results';

let folder = '';
let said: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qlora-bench-test-'));
  said = [];
  for (const way of ['log', 'error'] as const)
    vi.spyOn(console, way).mockImplementation((line) => void said.push(String(line)));
  vi.spyOn(process.stderr, 'write').mockImplementation((line) => Boolean(said.push(String(line))));
});
afterEach(async () => {
  vi.restoreAllMocks();
  process.exitCode = 0;
  await rm(folder, { recursive: true });
});

const run = (...args: string[]) => createProgram().parseAsync(args, { from: 'user' });
const runFile = async (name: string, ms: number, cpu = 'Test CPU') => {
  const path = join(folder, name);
  const result = benchResult([measuredCase('layer/8x8', [contender('qlora@1', [ms])])]);
  await writeResult(path, { ...result, machine: { ...result.machine, cpu } });
  return path;
};

describe('compare', () => {
  it('exits with 1 and names what became slower', async () => {
    await run('compare', await runFile('old', 10), await runFile('new', 12));
    expect(process.exitCode).toBe(1);
    expect(said.join('\n')).toContain('slower: layer/8x8 of qlora@1');
  });
  it('takes a tolerance', async () => {
    await run('compare', await runFile('old', 10), await runFile('new', 12), '--tolerance', '0.25');
    expect(process.exitCode).toBe(0);
    expect(said.join('\n')).toContain('nothing became slower');
  });
  it('refuses other machines unless told', async () => {
    const paths = [await runFile('old', 10), await runFile('new', 10, 'Other CPU')];
    await expect(run('compare', ...paths)).rejects.toThrow(/different machines \(cpu: Test CPU, Other CPU\)/);
    await run('compare', ...paths, '--any-machine');
    expect(process.exitCode).toBe(0);
  });
});

describe('options', () => {
  const refused = async (pattern: RegExp, ...args: string[]) => {
    await expect(run(...args)).rejects.toThrow();
    expect(said.join('\n')).toMatch(pattern);
  };
  it('that are wrong are refused with what would be right', async () => {
    await refused(/quick, marks/, '--suite', 'huge');
    await refused(/whole number from 1 on/, '--rounds', '0');
    await refused(/whole number from 1 on/, '--threads', '1,x');
    await refused(/tfjs-wasm.*none, all/, '--peers', 'numpy');
    await refused(/number from 0 on/, 'compare', 'a', 'b', '--tolerance', '-1');
    await refused(/size such as 20GB/, 'large', '--size', '20 pounds');
    await refused(/train is none of quantize, merge/, 'large', '--steps', 'quantize,train');
    await refused(/q9 is none of f32, f16/, 'export-quality', '--types', 'q9');
    await refused(/whole number from 1 on/, 'export-quality', '--windows', '0');
  });
  it('that would do nothing are refused', async () => {
    await expect(run('export-quality', '--data', 'a.txt')).rejects.toThrow(/none is named\. Name a --model/);
  });
  it('that match no case are refused', async () => {
    await expect(run('--filter', 'nothing like it')).rejects.toThrow(
      /no case of quick has "nothing like it"/,
    );
  });
  it('list the cases of a suite', async () => {
    await run('--full', '--filter', 'SmolLM2', '--list');
    expect(said.map((line) => line.split(' ')[0])).toEqual([
      'training/smollm2-135m/1x512',
      'training/smollm2-135m/1x512/checkpointing',
    ]);
  });
});
