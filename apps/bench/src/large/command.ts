// The `qlora` command in a process of its own, as people run it, and what that process took.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { QloraError } from '@qlora/tensor';
import { z } from 'zod';
import { QLORA_MAIN } from '../folders';

/** What a run of the command took. */
export interface CommandRun {
  /** From starting the process to its end. */
  readonly seconds: number;
  /** Peak of its resident memory. */
  readonly peakBytes: number;
  /** Of the processor, on all threads. */
  readonly cpuSeconds: number;
  /** Lines of its standard output, without the progress. */
  readonly lines: readonly string[];
}

/** Options of {@link runQlora}. */
export interface CommandOptions {
  /** A file to note the usage in, for a moment. */
  readonly usageFile: string;
  /** For QLORA_THREADS. */
  readonly threads: number;
  /** Called with the part that is done, for what takes long. */
  readonly onProgress?: (part: number) => void;
}

const usage = z.object({ peakBytes: z.number().positive(), cpuSeconds: z.number().positive() });
const progressEvent = z.object({ event: z.literal('progress'), done: z.number(), total: z.number() });
const errorEvent = z.object({ event: z.literal('error'), message: z.string() });

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Runs `qlora` with these arguments. @throws QloraError with its own words if it fails. */
export async function runQlora(args: readonly string[], options: CommandOptions): Promise<CommandRun> {
  const { usageFile, threads, onProgress } = options;
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const start = performance.now();
  const child = spawn(
    process.execPath,
    [
      '--conditions=@qlora/source',
      ...['--import', new URL('./usage.mjs', import.meta.url).href],
      ...['--import', tsx],
      QLORA_MAIN,
      ...args,
    ],
    {
      // Where tsx looks for a tsconfig.json.
      cwd: dirname(QLORA_MAIN),
      env: { ...process.env, QLORA_THREADS: String(threads), QLORA_BENCH_USAGE: usageFile },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  running.add(child);
  const lines: string[] = [];
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(-4000);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const progress = progressEvent.safeParse(parse(line));
    if (progress.success) onProgress?.(progress.data.done / Math.max(1, progress.data.total));
    else lines.push(line);
  });
  const code = await new Promise<number | string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve(signal ?? status ?? 1));
  }).finally(() => running.delete(child));
  const seconds = (performance.now() - start) / 1000;
  if (code !== 0) {
    const error = errorEvent.safeParse(parse(lines.at(-1) ?? ''));
    const words = error.success ? error.data.message : said.trim().split('\n').slice(-6).join(' / ');
    throw new QloraError({ what: `ended with ${code}: ${words}`, where: `qlora ${args.join(' ')}` });
  }
  const took = usage.parse(parse(await readFile(usageFile, 'utf8')));
  await rm(usageFile);
  return { seconds, ...took, lines };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
