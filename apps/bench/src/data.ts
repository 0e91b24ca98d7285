// The data that all contenders get, in files: values of a normal distribution like those of real weights, from a seed.
// They lie in a folder of the system's, which is removed at the end.
import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { random } from '@qlora/tensor';
import type { Job, Work } from './job';

/** Standard deviation of the values: that of the weights of a model of 135 M to 7 B parameters, roughly. */
const DEVIATION = 0.02;

/** Values from a seed. */
export function normals(count: number, seed: number): Float32Array {
  const rng = random(seed);
  return Float32Array.from({ length: count }, () => rng.normal() * DEVIATION);
}

/** Makes files on demand, and removes them all. */
export interface DataFolder {
  /** The work with the files that it needs. */
  jobFor(work: Work): Promise<Job>;
  remove(): Promise<void>;
}

/** An empty folder for data. */
export async function dataFolder(): Promise<DataFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'qlora-bench-'));
  // However the process ends, the files go with it.
  const removeNow = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeNow);
  const made = new Map<string, Promise<string>>();
  const file = (name: string, count: number, seed: number): Promise<string> => {
    const key = `${name}-${count}.f32`;
    let path = made.get(key);
    if (!path) {
      path = write(join(folder, key), normals(count, seed));
      made.set(key, path);
    }
    return path;
  };
  return {
    async jobFor(work) {
      if (work.kind === 'training' || work.kind === 'evaluation') return work;
      const { outFeatures, inFeatures } = work;
      const weight = await file('weight', outFeatures * inFeatures, 1);
      if (work.kind !== 'matmul' && work.kind !== 'layer') return { ...work, weight };
      // One input for all numbers of rows and both directions: each takes as much of it as it needs.
      const x = await file('x', work.rows * Math.max(outFeatures, inFeatures), 2);
      if (work.kind === 'matmul') return { ...work, weight, x };
      return { ...work, weight, x, dy: await file('dy', work.rows * outFeatures, 3) };
    },
    async remove() {
      process.off('exit', removeNow);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function write(path: string, values: Float32Array): Promise<string> {
  await writeFile(path, new Uint8Array(values.buffer));
  return path;
}
