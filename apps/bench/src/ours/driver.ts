// The driver of our own packages; see peers/README.md for the protocol.
import { readFileSync } from 'node:fs';
import { serve } from '../../peers/serve.mjs';
import type { Job } from '../job';
import { readyBackend } from './backend';
import { codecJob } from './codecs';
import { layerJob, matmulJob } from './layers';
import { modelJob } from './models';

const manifest = new URL('../../../../packages/backend/package.json', import.meta.url);

await serve({
  async describe() {
    const backend = await readyBackend();
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
    return {
      versions: { '@qlora': version, node: process.versions.node },
      threads: backend.threads,
      note: backend.description,
    };
  },
  prepare(job: Job) {
    switch (job.kind) {
      case 'matmul':
        return matmulJob(job);
      case 'layer':
        return layerJob(job);
      case 'training':
      case 'evaluation':
        return modelJob(job);
      default:
        return codecJob(job);
    }
  },
});
