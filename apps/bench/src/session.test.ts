// The protocol, with a driver in a real process.
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { Job } from './job';
import { parseAnswer } from './protocol';
import { type Session, startSession } from './session';

const fake = fileURLToPath(new URL('./testing/fake-peer.mjs', import.meta.url));
const opened: Session[] = [];
const open = (patience?: number, command = process.execPath) => {
  const session = startSession(
    { command, args: [fake], cwd: '.', env: { QLORA_BENCH_THREADS: '2' } },
    patience,
  );
  opened.push(session);
  return session;
};
afterEach(async () => {
  await Promise.all(opened.splice(0).map((session) => session.stop()));
});
const job = (kind: string) => ({ kind }) as unknown as Job;

describe('a driver', () => {
  it('says what it is, runs what it is told, and reports memory', async () => {
    const session = open();
    expect(await session.ask({ do: 'describe' })).toEqual({ versions: { fake: '1.2.3' }, threads: 2 });
    const { handle, check } = await session.ask({ do: 'prepare', job: job('sleep') });
    expect(check).toEqual({ rms: 1, head: [1, 2] });
    const { ms } = await session.ask({ do: 'run', handle, times: 3 });
    expect(ms).toHaveLength(3);
    for (const time of ms) expect(time).toBeGreaterThan(1);
    const { memory } = await session.ask({ do: 'release', handle });
    expect(memory).toMatchObject({ backend: 42 });
    expect(memory.process).toBeGreaterThan(1e7);
  });

  it('keeps jobs apart by their handles', async () => {
    const session = open();
    const first = await session.ask({ do: 'prepare', job: job('sleep') });
    const second = await session.ask({ do: 'prepare', job: job('sleep') });
    expect(first.handle).not.toBe(second.handle);
    await session.ask({ do: 'release', handle: first.handle });
    await expect(session.ask({ do: 'run', handle: first.handle, times: 1 })).rejects.toThrow(/no job/);
    await session.ask({ do: 'run', handle: second.handle, times: 1 });
  });

  it('that refuses a job goes on', async () => {
    const session = open();
    await expect(session.ask({ do: 'prepare', job: job('refuse') })).rejects.toThrow('no such job');
    await session.ask({ do: 'prepare', job: job('sleep') });
  });

  it('that dies is reported with its last words, then and later', async () => {
    const session = open();
    const dies = session.ask({ do: 'prepare', job: job('crash') });
    await expect(dies).rejects.toThrow(/exit code 3; it said: .*out of luck/);
    await expect(session.ask({ do: 'describe' })).rejects.toThrow(/exit code 3/);
  });

  it('that does not answer is ended', async () => {
    const session = open(400);
    await expect(session.ask({ do: 'prepare', job: job('hang') })).rejects.toThrow(
      /did not answer "prepare"/,
    );
  });

  it('that cannot be started is reported', async () => {
    await expect(open(undefined, '/nowhere/python').ask({ do: 'describe' })).rejects.toThrow(
      /cannot be started/,
    );
  });
});

describe('an answer', () => {
  it('that is no JSON is refused', () => {
    expect(() => parseAnswer('describe', 'Hello')).toThrow('"Hello", which is no JSON');
  });
  it('that lacks a field is refused by the field', () => {
    expect(() => parseAnswer('run', '{"ok":true,"ms":[-1]}')).toThrow(/"run" is wrong at ms.0/);
  });
});
