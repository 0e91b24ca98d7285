import { preset } from '@qlora-tooling/tsup';

// The program of the worker threads is a file that node-task-pool.ts names by its URL; in CommonJS that takes a shim.
export default preset({ entry: ['src/index.ts', 'src/node.ts', 'src/worker.ts'], shims: true });
