// Running the command in tests: in this process, with what it writes caught, or as a process of its own.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { expect, vi } from 'vitest';
import { run } from '../run';

/** What came of it. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An event of `--json`. */
export type Event = Readonly<Record<string, unknown>> & { readonly event: string };

/** Runs the command in this process. An error that it does not expect comes through. */
export async function qlora(...args: string[]): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      written[name] += String(chunk);
      return true;
    }),
  );
  try {
    const code = await run(args);
    return { code, stdout: written.stdout, stderr: stripVTControlCharacters(written.stderr) };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Runs the command as users do, as a process. */
export function spawnQlora(...args: string[]): Promise<Outcome> {
  return outcomeOf(startQlora(...args));
}

/** Starts the command as a process. */
export function startQlora(...args: string[]): ChildProcessWithoutNullStreams {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  return spawn(process.execPath, ['--conditions=@qlora/source', '--import', 'tsx', main, ...args], {
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, NODE_OPTIONS: '' },
  });
}

/** What a process writes, and its exit code. */
export function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    written.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    written.stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, ...written }));
  });
}

/** Runs the command with `--json` and gives its events. Every line must be one. */
export async function events(...args: string[]): Promise<Event[]> {
  const { code, stdout, stderr } = await qlora(...args, '--json');
  expect([code, stderr, code === 0 ? '' : stdout]).toEqual([0, '', '']);
  return parseEvents(stdout);
}

/** The lines of standard output as events. */
export function parseEvents(stdout: string): Event[] {
  expect(stdout.endsWith('\n')).toBe(true);
  return stdout
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Event);
}

/** The last event of that name. */
export function lastEvent(all: readonly Event[], name: string): Event {
  const found = all.filter(({ event }) => event === name).at(-1);
  if (!found) throw new Error(`no event "${name}" among ${all.map(({ event }) => event).join(', ')}`);
  return found;
}

/**
 * Expects the command to refuse: exit code 1, nothing on standard output, one message without a trace on standard error,
 * and the same message as an event with `--json`; and nothing new in `folder`, hidden files included.
 *
 * @returns the message.
 */
export async function expectRefusal(
  folder: string,
  args: readonly string[],
  message: RegExp,
): Promise<string> {
  const list = async () => (await readdir(folder, { recursive: true })).sort();
  const before = await list();
  const plain = await qlora(...args);
  expect(plain.stderr).toMatch(message);
  expect(plain.stderr).toMatch(/^error[: ]/);
  expect(plain.stderr).not.toMatch(/\n\s+at |TypeError|RangeError/);
  expect(plain.stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
  expect(plain).toMatchObject({ code: 1, stdout: '' });
  const json = await qlora(...args, '--json');
  expect(json).toMatchObject({ code: 1, stderr: '' });
  const event = lastEvent(parseEvents(json.stdout), 'error');
  expect(String(event.message)).toMatch(message);
  expect(plain.stderr).toContain(String(event.message));
  expect(await list()).toEqual(before);
  return String(event.message);
}
