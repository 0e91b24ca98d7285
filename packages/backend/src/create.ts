// The backend for most users: the fastest that runs here.
import { createCompute } from '@qlora/kernels';
import { QloraError } from '@qlora/tensor';
import type { Backend } from './contract';
import { createReferenceBackend } from './reference/reference';
import { wasmBackend } from './wasm/wasm';

/** Options of {@link createBackend}. */
export interface BackendOptions {
  /** Which implementation. Default `auto`: `wasm` where the engine has SIMD, else `reference`. */
  readonly backend?: 'auto' | 'wasm' | 'reference' | undefined;
  /** Threads that compute, the calling one included. Default: the variable QLORA_THREADS, else one a core. */
  readonly threads?: number | undefined;
  /** The kernels' build. Default: with relaxed SIMD (fused multiply-add) where the engine has it. */
  readonly build?: 'relaxed' | 'simd' | undefined;
  /** Told, once, when computing is slower than it could be, and why. Default: `console.warn`. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** A backend that {@link createBackend} made. */
export interface CreatedBackend extends Backend {
  /** Threads that compute. */
  readonly threads: number;
  /** In a few words, for reports: `wasm (relaxed SIMD, 2 threads)`. */
  readonly description: string;
  /** Resolves when all threads are up. Only measurements need to wait; computing does not. */
  ready(): Promise<void>;
}

/**
 * Makes a backend. It is ready at once; threads join as they come up.
 *
 * The bytes of a result depend on the build, not on the number of threads.
 *
 * @throws QloraError if `wasm` is asked for and the engine has no SIMD, or the number of threads is wrong.
 * @example
 * const backend = createBackend();
 * const x = backend.upload(new Float32Array([1, 2, 3, 4]), [2, 2]);
 * console.log(await backend.read(backend.matmul(x, x)));
 * await backend.dispose();
 */
export function createBackend(options: BackendOptions = {}): CreatedBackend {
  const { backend = 'auto', onNotice = (message) => console.warn(message) } = options;
  if (!['auto', 'wasm', 'reference'].includes(backend))
    throw new QloraError({ what: `no backend is named "${backend}"`, fix: 'use auto, wasm or reference' });
  const compute =
    backend === 'reference' ? undefined : start({ ...options, onNotice: oncePerProcess(onNotice) });
  if (compute) {
    const { threads, build } = compute;
    const simd = build === 'relaxed' ? 'relaxed SIMD' : 'SIMD';
    return Object.assign(wasmBackend(compute), {
      threads,
      description: `wasm (${simd}, ${threads} ${threads === 1 ? 'thread' : 'threads'})`,
      ready: () => compute.ready(),
    });
  }
  if (backend === 'wasm')
    throw new QloraError({
      what: 'this JavaScript engine has no WebAssembly SIMD',
      fix: 'use the reference backend, or a newer engine',
    });
  return Object.assign(createReferenceBackend(), {
    threads: 1,
    description: 'reference (plain JavaScript, 1 thread)',
    async ready() {},
  });
}

function start({ threads, build, onNotice }: BackendOptions) {
  try {
    return createCompute({ threads, build, onNotice });
  } catch (error) {
    if (error instanceof RangeError)
      throw new QloraError({
        what: error.message.replace(/\.[^.]*\.$/, ''),
        where: 'createBackend',
        fix: 'use a whole number from 1 to 256',
        cause: error,
      });
    throw error;
  }
}

const said = new Set<string>();

/** A program that makes many backends hears a notice once. */
function oncePerProcess(tell: (message: string) => void): (message: string) => void {
  return (message) => {
    if (said.has(message)) return;
    said.add(message);
    tell(message);
  };
}
