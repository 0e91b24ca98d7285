// What can be checked of the bootstrap without setting anything up; that it sets up is what `npm test` itself shows.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript, since it runs before TypeScript is there
import { install } from './install.mjs';
// @ts-expect-error as above
import { step, withTerminal } from './run.mjs';
// @ts-expect-error as above
import { isSlow, lastLine } from './test.mjs';

describe('the slow tests', () => {
  it('run when asked for or on CI, not otherwise', () => {
    expect(isSlow(['--slow'], {})).toBe(true);
    expect(isSlow([], { CI: 'true' })).toBe(true);
    expect(isSlow([], { CI: 'false' })).toBe(false);
    expect(isSlow([], {})).toBe(false);
  });
});

describe('the last line', () => {
  it('counts what passed, failed and was skipped', () => {
    expect(lastLine({ passed: 3, failed: 0, skipped: 0 }, 0)).toBe('3 passed, 0 failed');
    expect(lastLine({ passed: 3, failed: 1, skipped: 2 }, 1)).toBe('3 passed, 1 failed, 2 skipped');
  });

  it('tells a failure that no test was blamed for', () => {
    expect(lastLine({ passed: 3, failed: 0, skipped: 0 }, 1)).toBe('3 passed, 1 failed');
  });
});

describe('install', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'qlora install '));
    writeFileSync(join(root, 'package.json'), '{"packageManager":"pnpm@10.34.8"}');
    writeFileSync(join(root, 'pnpm-lock.yaml'), 'one');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  /** Installs with a pnpm of that version on the PATH, and returns the commands that ran. */
  const commands = (version?: string) => {
    const ran: string[] = [];
    const run = (_: string, command: string[]) => {
      ran.push(command.slice(0, 3).join(' '));
      mkdirSync(join(root, 'node_modules'), { recursive: true });
    };
    install(root, run, () => version);
    return ran;
  };

  it('takes the pnpm on the PATH only if it is the version that package.json names', () => {
    expect(commands('10.34.8')[0]).toMatch(/^pnpm install/);
    rmSync(join(root, 'node_modules'), { recursive: true });
    expect(commands('9.0.0')).toEqual(['npx -y pnpm@10.34.8']);
    rmSync(join(root, 'node_modules'), { recursive: true });
    expect(commands(undefined)).toEqual(['npx -y pnpm@10.34.8']);
  });

  it('runs again only when node_modules has gone or the lockfile has changed', () => {
    expect(commands()).toHaveLength(1);
    expect(commands()).toHaveLength(0);
    writeFileSync(join(root, 'pnpm-lock.yaml'), 'two');
    expect(commands()).toHaveLength(1);
    rmSync(join(root, 'node_modules'), { recursive: true });
    expect(commands()).toHaveLength(1);
  });

  it('counts as not done if pnpm failed', () => {
    const fail = () => {
      throw new Error('no network');
    };
    expect(() => install(root, fail, () => undefined)).toThrow('no network');
    expect(commands()).toHaveLength(1);
  });
});

describe('a command', () => {
  const node = (code: string) => [process.execPath, '-e', code];

  it('as a step is one line, and an error with its name if it fails', () => {
    const lines: string[] = [];
    step(tmpdir(), 'nothing', node('console.log("noise")'), (line: string) => lines.push(line));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^✓ nothing \(\d+\.\d s\)$/);
    expect(() => step(tmpdir(), 'bad luck', node('process.exit(3)'))).toThrow('✗ bad luck failed');
  });

  it('with the terminal hands its exit code on', async () => {
    expect(await withTerminal(process.execPath, ['-e', 'process.exit(7)'], {})).toBe(7);
    expect(
      await withTerminal(
        process.execPath,
        ['-e', 'process.kill(process.pid, "SIGTERM");setTimeout(()=>{},1e4)'],
        {},
      ),
    ).toBe(143);
  });
});
