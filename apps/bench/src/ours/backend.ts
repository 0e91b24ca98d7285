// The one place where the benchmark makes a backend.
import { type CreatedBackend, createBackend } from '@qlora/backend';

/** Threads that the harness gave to this process. */
export const threads = Number(process.env.QLORA_BENCH_THREADS ?? 1);

let backend: CreatedBackend | undefined;

/** The backend of this process, with all of its threads up. */
export async function readyBackend(): Promise<CreatedBackend> {
  backend ??= createBackend({ threads });
  await backend.ready();
  return backend;
}
