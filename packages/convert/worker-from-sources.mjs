// The program of a worker thread inside the repository, where packages are TypeScript: loads src/worker.ts. Not published.
import { tsImport } from 'tsx/esm/api';

await tsImport('./src/worker.ts', import.meta.url);
