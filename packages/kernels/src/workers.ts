// Starting workers, in Node or in a browser.
import { builtin } from './node-builtin';
import { workerSource } from './worker-source';

/** What a worker is given. */
export interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Names of the kernels by their index. */
  readonly kernels: readonly string[];
  /** Address of its scratch memory. */
  readonly scratch: number;
}

/**
 * Starts a worker and returns what ends it. The worker does not keep a process alive.
 * @throws if workers cannot be started here (a content security policy without `worker-src blob:`).
 */
export function startWorker(data: WorkerData): () => Promise<unknown> {
  const threads = builtin('node:worker_threads');
  if (threads) {
    // Without the parent's flags: they may load a compiler that this plain text does not need.
    const worker = new threads.Worker(workerSource(), { eval: true, workerData: data, execArgv: [] });
    worker.unref();
    return () => worker.terminate();
  }
  const url = URL.createObjectURL(new Blob([workerSource()], { type: 'text/javascript' }));
  const worker = new Worker(url);
  worker.postMessage(data);
  return async () => {
    worker.terminate();
    URL.revokeObjectURL(url);
  };
}

/** Threads that the machine can run at once. */
export function availableThreads(): number {
  const os = builtin('node:os');
  if (os) return os.availableParallelism();
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1;
}
