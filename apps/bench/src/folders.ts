// Where the parts of the benchmark lie.
import { fileURLToPath } from 'node:url';

/** apps/bench. */
export const BENCH_FOLDER = fileURLToPath(new URL('..', import.meta.url));
/** The drivers of the peers. */
export const PEERS_FOLDER = fileURLToPath(new URL('../peers/', import.meta.url));
