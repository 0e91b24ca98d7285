// A driver in a process of its own. Between requests it waits for its standard input, so it takes no time from the
// others. What it writes to standard error is kept, and shown if it dies.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Answer, type answers, parseAnswer, type Request } from './protocol';

/** How to start a driver. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to the environment; undefined takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What a session is asked, in the words of the protocol. */
export interface Session {
  /** The process, if it could be started. */
  readonly pid: number | undefined;
  ask<A extends keyof typeof answers>(request: Request & { readonly do: A }): Promise<Answer<A>>;
  /** Ends the process. */
  stop(): Promise<void>;
}

/** Milliseconds that a driver may take for one answer: enough for importing torch, or for a slow training step. */
const PATIENCE = 600_000;
/** Milliseconds that it may take to end. */
const GRACE = 3000;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a driver. That it cannot be started shows at the first request. */
export function startSession({ command, args, cwd, env }: Command, patience = PATIENCE): Session {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'pipe' });
  running.add(child);
  let said = '';
  let ended: Error | undefined;
  let waiting: { resolve(line: string): void; reject(error: Error): void } | undefined;
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(-4000);
  });
  const end = (why: string) => {
    running.delete(child);
    ended ??= new Error(`${why}${said.trim() ? `; it said: ${lastLines(said)}` : ''}`);
    waiting?.reject(ended);
    waiting = undefined;
  };
  child.on('error', (error) => end(`${command} cannot be started: ${error.message}`));
  child.on('close', (code, signal) => end(`${command} ended with ${signal ?? `exit code ${code}`}`));
  // A driver that died refuses what is written to it; `close` says why.
  child.stdin.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', (line) => {
    waiting?.resolve(line);
    waiting = undefined;
  });

  return {
    pid: child.pid,

    async ask(request) {
      if (ended) throw ended;
      if (waiting) throw new Error('a driver was asked twice at once');
      let timer: NodeJS.Timeout | undefined;
      const line = await new Promise<string>((resolve, reject) => {
        waiting = { resolve, reject };
        timer = setTimeout(() => {
          child.kill('SIGKILL');
          reject(new Error(`${command} did not answer "${request.do}" within ${patience / 1000} s`));
        }, patience);
        child.stdin.write(`${JSON.stringify(request)}\n`);
      }).finally(() => clearTimeout(timer));
      return parseAnswer(request.do, line) as never;
    },

    async stop() {
      if (ended) return;
      const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
      child.stdin.end(`${JSON.stringify({ do: 'stop' } satisfies Request)}\n`);
      const timer = setTimeout(() => child.kill('SIGKILL'), GRACE);
      await closed;
      clearTimeout(timer);
    },
  };
}

const lastLines = (text: string) => text.trim().split('\n').slice(-4).join(' / ');
