// Ways to run a command: a step, which is quiet unless it fails, and a program, which has the terminal to itself.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The environment of every command: the workspace's own tools on the PATH (turbo looks for pnpm there), no telemetry. */
export function environment(root, extra = {}) {
  const path = Object.keys(process.env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH';
  return {
    ...process.env,
    [path]: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env[path] ?? ''}`,
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    ...extra,
  };
}

/**
 * Runs a step of the set-up or the checks. It prints one line with the time; the command's own output is shown only if
 * it fails.
 *
 * @param say takes the line; `console.log`, or `console.error` where standard output belongs to someone else.
 * @throws Error naming the step, if it fails.
 */
export function step(root, label, [command, ...args], say = console.log) {
  const start = performance.now();
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: environment(root),
    // npx and pnpm are .cmd files on Windows, which only a shell starts. Their arguments hold no spaces.
    shell: process.platform === 'win32' && command !== process.execPath,
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (result.status === 0) {
    say(`✓ ${label} (${seconds} s)`);
    return;
  }
  console.error(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`);
  throw new Error(`✗ ${label} failed after ${seconds} s`);
}

/**
 * Runs a TypeScript program of the workspace on its sources, in the folder where the user stands.
 * @returns its exit code.
 */
export function program(root, path, args) {
  const main = join(root, path);
  if (!existsSync(main)) throw new Error(`${path} is missing: the checkout is incomplete.`);
  const loader = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'loader.mjs')).href;
  return withTerminal(process.execPath, ['--conditions=@qlora/source', '--import', loader, main, ...args], {
    // npm and pnpm change to the root and leave here where the user stood.
    cwd: process.env.INIT_CWD ?? process.cwd(),
    env: environment(root, { TSX_TSCONFIG_PATH: join(root, 'tooling', 'tsconfig', 'base.json') }),
  });
}

/**
 * Runs a command that has the terminal to itself. Ctrl-C is left to it, so that it can clean up before we end.
 * @returns its exit code, 128 + n if signal n ended it.
 */
export function withTerminal(command, args, options) {
  const wait = () => {};
  process.on('SIGINT', wait);
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', wait);
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}
