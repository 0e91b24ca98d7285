// Worker threads that run tasks by name. A thread has its own copy of everything, WebAssembly modules too, so any task can
// run on it; arrays go there and back without being copied.
import { Worker } from 'node:worker_threads';
import { threadCount } from '@qlora/kernels';
import { QloraError, type RunTask, runHere } from '@qlora/tensor';
import { arraysIn } from './transfer';
import type { Reply } from './worker';

/** Runs tasks, until it is closed. */
export interface TaskPool {
  readonly run: RunTask;
  /** Ranges that are worth having in flight: one a thread that computes, and some that are read or written meanwhile. */
  readonly slots: number;
  close(): Promise<void>;
}

/** Options of {@link taskPool}. */
export interface TaskPoolOptions {
  /** Threads that compute. Default: the variable QLORA_THREADS, or one a core. With 1, tasks run on the caller's thread. */
  readonly threads?: number | undefined;
  /** Bytes that will be read in all. Where they are few, no thread is started. Default: many. */
  readonly bytes?: number;
}

// Starting threads takes longer than the work on less than this.
const PARALLEL_BYTES = 64 * 1024 * 1024;

/** Ranges in flight beyond those that are computed: one is read while another is written. */
const SPARE_SLOTS = 2;

/**
 * A pool. Threads start when they are first needed.
 * @throws QloraError for a number of threads that is no whole number from 1 to 256.
 */
export function taskPool(options: TaskPoolOptions = {}): TaskPool {
  const { bytes = Number.POSITIVE_INFINITY } = options;
  const threads = checkedThreads(options.threads);
  const slots = threads + SPARE_SLOTS;
  if (threads <= 1 || bytes < PARALLEL_BYTES) return { run: runHere, slots, close: async () => {} };

  const idle: PoolWorker[] = [];
  const all: PoolWorker[] = [];
  const waiting: ((worker: PoolWorker) => void)[] = [];
  const acquire = async (): Promise<PoolWorker> => {
    const free = idle.pop();
    if (free) return free;
    if (all.length < threads) {
      const worker = startWorker();
      all.push(worker);
      return worker;
    }
    return new Promise((resolve) => waiting.push(resolve));
  };
  const release = (worker: PoolWorker) => {
    const next = waiting.shift();
    if (next) next(worker);
    else idle.push(worker);
  };
  return {
    slots,
    async run(task, input) {
      const worker = await acquire();
      try {
        return (await worker.request(task.name, input)) as never;
      } finally {
        release(worker);
      }
    },
    async close() {
      await Promise.all(all.map((worker) => worker.terminate()));
    },
  };
}

function checkedThreads(given: number | undefined): number {
  try {
    return threadCount(given);
  } catch (cause) {
    throw new QloraError({ what: (cause as Error).message.replace(/\.$/, ''), cause });
  }
}

// The worker's program lies beside this file in either kind of build. In the repository this is TypeScript, which a thread
// does not load by itself.
const EXTENSION = /\.\w+$/.exec(import.meta.url)?.[0];
const PROGRAM = EXTENSION === '.ts' ? '../worker-from-sources.mjs' : `./worker${EXTENSION}`;
// Not the parent's flags: they may load a compiler that a build does not need.
const FLAGS = EXTENSION === '.ts' ? ['--conditions=@qlora/source'] : [];

interface PoolWorker {
  request(task: string, input: unknown): Promise<unknown>;
  terminate(): Promise<unknown>;
}

function startWorker(): PoolWorker {
  const worker = new Worker(new URL(PROGRAM, import.meta.url), { execArgv: FLAGS });
  worker.unref();
  let pending: { resolve: (value: unknown) => void; reject: (error: unknown) => void } | undefined;
  let dead: unknown;
  const fail = (error: unknown) => {
    dead = error;
    pending?.reject(error);
  };
  worker.on('message', (reply: Reply) => {
    if ('result' in reply) pending?.resolve(reply.result);
    else pending?.reject(reply.problem ? new QloraError(reply.problem) : new Error(reply.message));
  });
  worker.on('error', fail);
  worker.on('exit', (code) => fail(new Error(`a worker thread ended with code ${code}`)));
  return {
    request: (task, input) =>
      new Promise((resolve, reject) => {
        if (dead) return reject(dead);
        worker.ref();
        const settle =
          <T>(then: (value: T) => void) =>
          (value: T) => {
            pending = undefined;
            worker.unref();
            then(value);
          };
        pending = { resolve: settle(resolve), reject: settle(reject) };
        worker.postMessage({ task, input }, arraysIn(input));
      }),
    terminate: () => worker.terminate(),
  };
}
