// The compute module on one memory, run by the calling thread and by workers. What a kernel does is in assembly/compute;
// this file hands out work.
//
// A job is a kernel, its arguments, and a number of units. The calling thread and the workers take parts of the units until
// none is left. Which thread takes which part is left to chance; no unit depends on another, so the bytes do not.
import { ARGUMENTS_AT, CONTROL_BYTES, FAILURE_AT, MAX_ARGUMENTS, SLOT, SPINS } from './control';
import { features } from './features';
import { computeRelaxed } from './generated/compute-relaxed';
import { computeSimd } from './generated/compute-simd';
import { compile, instantiate, MAX_PAGES } from './instantiate';
import { environmentVariable } from './node-builtin';
import { availableThreads, startWorker } from './workers';

/** Options of {@link createCompute}. */
export interface ComputeOptions {
  /** Threads that compute, the calling one included. Default: the variable QLORA_THREADS, else one a core. */
  readonly threads?: number | undefined;
  /** Which build. Default: `relaxed` where the engine has it. */
  readonly build?: 'relaxed' | 'simd' | undefined;
  /** Told, once, what is not as fast as it could be and why. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Kernels over one memory. */
export interface Compute {
  readonly memory: WebAssembly.Memory;
  readonly build: 'relaxed' | 'simd';
  /** Threads that compute, the calling one included. */
  readonly threads: number;
  /** First byte of the memory that is free for buffers. */
  readonly heapBase: number;
  /** Result of a function that is no kernel. */
  call(name: string, ...args: number[]): number;
  /**
   * Runs a kernel over units 0 to `units`, in parts of `grain`, on all threads. It returns when all is done.
   * @throws Error if the kernel fails (an address outside the memory: a bug of the caller).
   */
  run(kernel: string, args: readonly number[], units: number, grain: number): void;
  /** Resolves when all workers are up, for measurements; jobs do not wait for it. */
  ready(): Promise<void>;
  /** Ends the workers. */
  dispose(): Promise<void>;
}

type Kernel = (...args: number[]) => number;

/**
 * Starts the kernels; undefined where the engine has no SIMD.
 *
 * Workers join as they come up, so the first jobs may run on fewer threads.
 */
export function createCompute(options: ComputeOptions = {}): Compute | undefined {
  const can = features();
  if (!can.simd) return undefined;
  const build = options.build ?? (can.relaxed ? 'relaxed' : 'simd');
  const wanted = threadCount(options.threads);
  if (wanted > 1 && !can.threads) {
    options.onNotice?.(
      'computing on one thread: memory cannot be shared with workers here (in a browser, serve the page with ' +
        'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp; Node needs 20.16 or newer)',
    );
  }
  const shared = wanted > 1 && can.threads;
  const module = compile(build === 'relaxed' ? computeRelaxed : computeSimd, shared);
  const memory = createMemory(shared);
  const exports = instantiate(module, memory) as Record<string, Kernel>;
  const kernels = Object.keys(exports).sort();
  const scratchBytes = exports.scratchBytes!();
  const heapBase = CONTROL_BYTES + (shared ? wanted : 1) * scratchBytes;
  grow(memory, heapBase);
  exports.setScratch!(CONTROL_BYTES);

  const stops: (() => Promise<unknown>)[] = [];
  if (shared) {
    try {
      for (let i = 1; i < wanted; i++)
        stops.push(startWorker({ module, memory, kernels, scratch: CONTROL_BYTES + i * scratchBytes }));
    } catch (error) {
      options.onNotice?.(`computing on ${stops.length + 1} threads: ${(error as Error).message}`);
    }
  }
  const giver = stops.length > 0 ? new Giver(memory, exports, kernels) : undefined;
  return {
    memory,
    build,
    threads: stops.length + 1,
    heapBase,
    call: (name, ...args) => exports[name]!(...args),
    run(kernel, args, units, grain) {
      if (units <= 0) return;
      if (giver && units > grain) giver.run(kernel, args, units, grain);
      else exports[kernel]!(...args, 0, units);
    },
    async ready() {
      while (giver && giver.workers < stops.length) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    async dispose() {
      giver?.stop();
      await Promise.all(stops.splice(0).map((stop) => stop()));
    },
  };
}

/** Makes the memory at least `bytes` long. @throws RangeError if it cannot be. */
export function grow(memory: WebAssembly.Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536));
}

/**
 * Threads that compute: `given`, or the variable QLORA_THREADS, or one a core.
 * @throws RangeError for anything but a whole number from 1 to 256.
 */
export function threadCount(given?: number): number {
  const text = environmentVariable('QLORA_THREADS');
  const wanted = given ?? (text === undefined || text === '' ? availableThreads() : Number(text));
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > 256) {
    const where = given === undefined ? 'QLORA_THREADS' : 'threads';
    throw new RangeError(`${where} is ${given ?? text}. Use a whole number from 1 to 256.`);
  }
  return wanted;
}

/** The largest memory that the engine grants; 4 GiB of address space where it can, less on small devices. */
function createMemory(shared: boolean): WebAssembly.Memory {
  for (let maximum = MAX_PAGES; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared });
    } catch (error) {
      if (maximum <= 4096) throw error;
    }
  }
}

/** Hands jobs to workers and takes part in them. */
class Giver {
  readonly #exports: Record<string, Kernel>;
  readonly #index: ReadonlyMap<string, number>;
  readonly #control: Int32Array;
  readonly #args: Float64Array;
  readonly #text: Uint8Array;
  /** False on the main thread of a browser, which must not sleep. */
  readonly #maySleep: boolean;

  constructor(memory: WebAssembly.Memory, exports: Record<string, Kernel>, kernels: readonly string[]) {
    this.#exports = exports;
    this.#index = new Map(kernels.map((name, i) => [name, i]));
    this.#control = new Int32Array(memory.buffer, 0, ARGUMENTS_AT / 4);
    this.#args = new Float64Array(memory.buffer, ARGUMENTS_AT, MAX_ARGUMENTS);
    this.#text = new Uint8Array(memory.buffer, FAILURE_AT, CONTROL_BYTES - FAILURE_AT);
    this.#maySleep = !('document' in globalThis);
  }

  /** Workers that are up. */
  get workers(): number {
    return Atomics.load(this.#control, SLOT.ready);
  }

  run(name: string, args: readonly number[], units: number, grain: number): void {
    const control = this.#control;
    const kernel = this.#exports[name]!;
    let failed = false;
    this.#args.set(args);
    control[SLOT.kernel] = this.#index.get(name)!;
    control[SLOT.count] = args.length;
    control[SLOT.units] = units;
    control[SLOT.grain] = grain;
    Atomics.store(control, SLOT.next, 0);
    Atomics.store(control, SLOT.open, 1);
    Atomics.add(control, SLOT.job, 1);
    if (Atomics.load(control, SLOT.asleep) > 0) Atomics.notify(control, SLOT.job);
    try {
      for (;;) {
        const begin = Atomics.add(control, SLOT.next, 1) * grain;
        if (begin >= units) break;
        kernel(...args, begin, Math.min(begin + grain, units));
      }
    } finally {
      Atomics.store(control, SLOT.open, 0);
      this.#waitForWorkers();
      // Asked for also when this thread failed: the next job is not to blame.
      failed = Atomics.exchange(control, SLOT.failed, 0) === 1;
    }
    if (failed) throw new Error(`kernel ${name} failed in a worker: ${this.#failure()}`);
  }

  /** What the worker that failed wrote. */
  #failure(): string {
    const text = this.#text.slice();
    return String.fromCharCode(...text.subarray(0, text.indexOf(0)));
  }

  stop(): void {
    Atomics.store(this.#control, SLOT.stop, 1);
    Atomics.add(this.#control, SLOT.job, 1);
    Atomics.notify(this.#control, SLOT.job);
  }

  #waitForWorkers(): void {
    const control = this.#control;
    for (let spins = 0; ; spins++) {
      const inside = Atomics.load(control, SLOT.inside);
      if (inside === 0) return;
      if (this.#maySleep && spins > SPINS) Atomics.wait(control, SLOT.inside, inside, 100);
    }
  }
}
