// A whole run on a large model: make it, measure the disk, run the steps one after the other, remove everything.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { byteLength, elementCount } from '@qlora/tensor';
import { watchOthersBut } from '../disturbance';
import { describeMachine, loadNow } from '../machine';
import type { Progress } from '../progress';
import { type CommandOptions, runQlora } from './command';
import { copyFiles, dropCaches, PIECE, readFiles, writeNew } from './disk';
import { bytesAt, writeAdapter, writeModel } from './model';
import type { DiskRun, LargeResult, StepRun } from './result';
import { type LargeShape, shapeFor } from './shape';
import { checkInspection, isThere, type Places, type StepName, stepOf } from './steps';
import { makeTile, type Tile } from './tile';
import { checkSpace, diskOf, type WorkFolder, workFolder } from './work-folder';

/** What is to be run. */
export interface LargeOptions {
  /** Bytes of the model, at least. */
  readonly size: number;
  readonly steps: readonly StepName[];
  readonly threads: number;
  /** Default: a new folder in the system's folder for temporary files. */
  readonly folder?: string | undefined;
  /** Leave the model and the adapter. */
  readonly keep: boolean;
  /** Empty the system's file cache before each measurement, where that is allowed. */
  readonly dropCaches: boolean;
}

/** Space that is needed beyond the model and one more of its size: adapter, index, tokenizers, directories. */
const SPACE_BESIDE = 0.03;

/**
 * Runs and returns what was measured. A step that fails is reported, and the others run all the same.
 * @throws QloraError if there is no space or the folder is not empty.
 */
export async function runLarge(options: LargeOptions, progress: Progress): Promise<LargeResult> {
  const shape = shapeFor(options.size);
  const work = await workFolder(options.folder, options.keep);
  try {
    return await runIn(work, shape, options, progress);
  } finally {
    progress.stop();
    await work.remove();
  }
}

async function runIn(
  { path }: WorkFolder,
  shape: LargeShape,
  options: LargeOptions,
  progress: Progress,
): Promise<LargeResult> {
  const { size, threads, steps } = options;
  const disk = await diskOf(path);
  checkSpace(path, disk.free, shape.bytes * (2 + SPACE_BESIDE));
  const started = new Date();
  const machine = describeMachine();
  const command = { usageFile: join(path, 'usage.json'), threads };
  const { lines: help } = await runQlora(['--help'], command);
  const there = steps.filter((step) => isThere(step, help.join('\n')));
  const missing: LargeResult['missing'][number][] = steps
    .filter((step) => !there.includes(step))
    .map((step) => ({ step, why: 'the command has no such verb', failed: false }));

  progress.start(efforts(shape.bytes, there));
  progress.nextCase('making the model');
  const places = { model: join(path, 'model'), adapter: join(path, 'adapter'), out: join(path, 'out') };
  const tile = makeTile(1);
  const making = performance.now();
  const files = await writeModel(places.model, shape, tile, partOf(progress, 'writing', shape.bytes));
  const makingSeconds = (performance.now() - making) / 1000;
  await writeAdapter(places.adapter, shape, tile);
  const bytes = (await Promise.all(files.map(bytesAt))).reduce((sum, one) => sum + one, 0);

  const scene: Scene = { ...options, shape, places, files, bytes, tile, command, progress };
  const cachesDropped = forget(scene);
  const { peakBytes: idlePeakBytes } = await runQlora(['--version'], command);
  const diskRuns = [await measureReading(scene), await measureCopying(scene)];
  const runs: StepRun[] = [];
  for (const step of there) {
    progress.nextCase(step);
    try {
      runs.push(await measureStep(scene, step));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      progress.say(`${step} failed: ${why}`);
      missing.push({ step, why, failed: true });
    } finally {
      await rm(places.out, { recursive: true, force: true });
    }
  }
  progress.stop();
  const sizes = shape.tensors.map((info) => byteLength(info.dtype, info.shape));
  return {
    format: 'qlora-bench-large',
    version: 1,
    started: started.toISOString(),
    seconds: Math.round((Date.now() - started.getTime()) / 1000),
    machine: { ...machine, load: { ...machine.load, after: loadNow() } },
    settings: { size, threads, steps },
    cachesDropped,
    inMemory: disk.inMemory,
    model: {
      like: shape.like,
      layers: shape.layers,
      tensors: shape.tensors.length,
      parameters: shape.tensors.reduce((sum, info) => sum + elementCount(info.shape), 0),
      bytes,
      files: files.length,
      largestTensorBytes: Math.max(...sizes),
      adapterBytes: await bytesAt(places.adapter),
      seconds: makingSeconds,
    },
    idlePeakBytes,
    disk: diskRuns,
    steps: runs,
    missing,
  };
}

/** What every measurement of a run knows. */
interface Scene extends Pick<LargeOptions, 'dropCaches'> {
  readonly shape: LargeShape;
  readonly places: Places;
  /** Weights files of the model, and their bytes. */
  readonly files: readonly string[];
  readonly bytes: number;
  readonly tile: Tile;
  readonly command: CommandOptions;
  readonly progress: Progress;
}

/** Empties the file cache, if that is wanted and allowed. */
const forget = (scene: Pick<LargeOptions, 'dropCaches'>) => scene.dropCaches && dropCaches();

const partOf = (progress: Progress, what: string, total: number) => (done: number) =>
  progress.step(what, Math.min(1, done / total));

async function timed(what: DiskRun['what'], body: () => Promise<number>): Promise<DiskRun> {
  const others = watchOthersBut();
  const start = performance.now();
  const bytes = await body();
  return { what, bytes, seconds: (performance.now() - start) / 1000, others: others(0) ?? null };
}

function measureReading(scene: Scene): Promise<DiskRun> {
  const { progress, files, bytes } = scene;
  progress.nextCase('reading alone');
  forget(scene);
  return timed('read', () => readFiles(files, partOf(progress, 'reading', bytes)));
}

async function measureCopying(scene: Scene): Promise<DiskRun> {
  const { progress, files, bytes, places } = scene;
  progress.nextCase('copying alone');
  forget(scene);
  const copy = `${places.model}-copy`;
  try {
    return await timed('copy', () => copyFiles(files, copy, partOf(progress, 'copying', bytes)));
  } finally {
    await rm(copy, { force: true });
  }
}

async function measureStep(scene: Scene, name: StepName): Promise<StepRun> {
  const { places, shape, command, progress, bytes } = scene;
  const step = stepOf(name, places);
  await mkdir(places.out, { recursive: true });
  forget(scene);
  progress.step('running', 0);
  const others = watchOthersBut();
  const ran = await runQlora(['--json', ...step.args], {
    ...command,
    // The rest is for looking at the output and writing as much.
    onProgress: (part) => progress.step('running', 0.85 * part),
  });
  const { seconds, cpuSeconds, peakBytes } = ran;
  const run = {
    step: name,
    command: `qlora ${step.args.join(' ')}`,
    bytesIn: bytes + (step.adapter ? await bytesAt(places.adapter) : 0),
    seconds,
    cpuSeconds,
    others: others(cpuSeconds) ?? null,
    peakBytes,
  };
  if (step.output === null) return { ...run, bytesOut: 0, tensors: null, writeSeconds: null };
  progress.step('looking at the output', 0.85);
  const { lines } = await runQlora(['--json', 'inspect', step.output], command);
  const tensors = checkInspection(lines.at(-1), shape, step.output);
  const bytesOut = await bytesAt(step.output);
  await rm(places.out, { recursive: true });
  progress.step('writing as much', 0.9);
  return { ...run, bytesOut, tensors, writeSeconds: await measureWriting(scene, bytesOut) };
}

async function measureWriting({ places, tile }: Scene, length: number): Promise<number> {
  const piece = tile.bytes(PIECE);
  const start = performance.now();
  await writeNew(places.out, length, piece);
  return (performance.now() - start) / 1000;
}

/** Seconds that things take, very roughly, on a disk of 1 GB/s. */
function efforts(bytes: number, steps: readonly StepName[]): number[] {
  const perGigabyte: Readonly<Record<StepName, number>> = {
    quantize: 4,
    merge: 10,
    'export-gguf': 4,
    'export-qnat': 6,
    analyze: 10,
  };
  const [making, reading, copying] = [2, 1, 2];
  return [making, reading, copying, ...steps.map((step) => perGigabyte[step])].map(
    (one) => (one * bytes) / 1e9,
  );
}
