// Where the parts of the benchmark lie.
import { fileURLToPath } from 'node:url';

/** apps/bench. */
export const BENCH_FOLDER = fileURLToPath(new URL('..', import.meta.url));
/** The repository. */
export const ROOT_FOLDER = fileURLToPath(new URL('../../..', import.meta.url));
/** The demo, whose stories and models serve here too. */
export const DEMO_FOLDER = fileURLToPath(new URL('../../demo/', import.meta.url));
/** The drivers of the peers. */
export const PEERS_FOLDER = fileURLToPath(new URL('../peers/', import.meta.url));
/** The source of the `qlora` command. */
export const QLORA_MAIN = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));
/** The demo's model, for its tokenizer. */
export const DEMO_MODEL_FOLDER = fileURLToPath(new URL('../../demo/model/', import.meta.url));
