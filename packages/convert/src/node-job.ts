// Writing a model folder file by file, so that the work can be interrupted, gone on with, and shared by machines. Everything
// is made in a working folder beside the result, `.NAME.partial`; each weights file gets its name there when it is complete,
// and the folder gets its own name when all are. `.job.json` says what is being made, so that only the same job goes on.
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  INDEX_FILE,
  readSafetensorsHeader,
  safetensorsSink,
  shardFileName,
  shardIndex,
} from '@qlora/safetensors';
import { type ConversionItem, QloraError, runItems } from '@qlora/tensor';
import { fileSink, fileSource, ioError, temporaryName, writeFileAtomic } from '@qlora/tensor/node';
import { taskPool } from './node-task-pool';

/** One of several processes that make a folder together: the `index`-th of `count`, counted from 1. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

/** How a folder is written; the same for every verb that writes one. */
export interface FolderOptions {
  /** Replace a folder that is not empty, and a working folder that is there. Default false. */
  readonly overwrite?: boolean;
  /** Go on in a working folder that is there, after its last complete file. Default false. */
  readonly resume?: boolean;
  /** Make only every `count`-th file. The working folder stays, for the others and for `join`. */
  readonly share?: Share | undefined;
  /** Make no file: check that all are there, add the index and the rest, and give the folder its name. */
  readonly join?: boolean;
  /** Threads that compute. Default: one a core. */
  readonly threads?: number | undefined;
  /** Called as the work goes on. */
  readonly onProgress?: (progress: JobProgress) => void;
  /** Stops the work; complete files are kept for `resume`. */
  readonly signal?: AbortSignal | undefined;
}

/** How far a job is, of what this process has to do. */
export interface JobProgress {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly tensors: number;
  readonly totalTensors: number;
}

/** A folder to be written. */
export interface FolderJob {
  readonly out: string;
  /** What makes this job the same as another, as plain JSON: verb, options, fingerprint of the input. */
  readonly description: Readonly<Record<string, unknown>>;
  /** The items of each weights file. */
  readonly shards: readonly (readonly ConversionItem[])[];
  /** Writes everything but weights and index. */
  readonly companions: (folder: string) => Promise<void>;
}

/** What became of a job. */
export interface FolderResult {
  /** True when the folder has its final name. */
  readonly complete: boolean;
  /** Names of the weights files that this process made. */
  readonly written: readonly string[];
  /** Names of those that were there already. */
  readonly kept: readonly string[];
  /** Names of those that are still to be made, by others. */
  readonly missing: readonly string[];
  /** Files in all. */
  readonly files: number;
}

const JOB_FILE = '.job.json';

/** Where a folder is made before it gets its name. */
export function workingFolder(out: string): string {
  const path = resolve(out);
  return join(dirname(path), `.${basename(path)}.partial`);
}

/**
 * Does a job, or a share of it.
 *
 * If it fails or is stopped, nothing is under the final name; complete files stay in the working folder for
 * `resume`, and if there are none, that folder is removed.
 *
 * @throws QloraError if the result or a working folder exists already and nothing says what to do with it, or if the working
 * folder is of another job.
 */
export async function writeFolder(job: FolderJob, options: FolderOptions = {}): Promise<FolderResult> {
  const { share, join: joining = false } = options;
  const work = workingFolder(job.out);
  await checkResult(job.out, options.overwrite ?? false);
  await enter(work, job, options);
  const names = job.shards.map((_, index) => shardFileName(index, job.shards.length));
  const mine = joining ? [] : names.filter((_, i) => !share || i % share.count === share.index - 1);
  const there = new Set((await readdir(work)).filter((name) => names.includes(name)));
  const todo = mine.filter((name) => !there.has(name));
  try {
    await removeLeftovers(work, mine);
    await writeShards(work, job, names, todo, options);
  } catch (error) {
    if (!share && (await isWithoutFiles(work, names))) await rm(work, { recursive: true, force: true });
    throw error;
  }
  const missing = await filesMissing(work, names);
  const result = {
    written: todo,
    kept: mine.filter((name) => there.has(name)),
    missing,
    files: names.length,
  };
  if (share) return { ...result, complete: false };
  if (missing.length > 0) {
    throw new QloraError({
      what: `${missing.length} of ${names.length} files are missing: ${missing.slice(0, 4).join(', ')}${missing.length > 4 ? ', …' : ''}`,
      where: work,
      fix: 'run the shares that make them again, then join',
    });
  }
  await complete(work, job, names, options);
  return { ...result, complete: true };
}

/** Throws if there is a result that must not be replaced. */
async function checkResult(out: string, overwrite: boolean): Promise<void> {
  const info = await stat(out).catch(() => undefined);
  if (!info) return;
  if (!info.isDirectory())
    throw new QloraError({
      what: 'is a file, a folder is to be written',
      where: out,
      fix: 'name another --out',
    });
  if (overwrite || (await readdir(out)).length === 0) return;
  throw new QloraError({
    what: 'exists already and is not empty',
    where: out,
    fix: 'remove it, name another, or pass --overwrite',
  });
}

/** Makes the working folder, or goes into the one that is there. */
async function enter(work: string, job: FolderJob, options: FolderOptions): Promise<void> {
  const { resume = false, share, join: joining = false, overwrite = false } = options;
  const wanted = JSON.stringify({ ...job.description, files: job.shards.length });
  const goOn = resume || joining || share !== undefined;
  const exists = await stat(work).catch(() => undefined);
  if (exists && !goOn) {
    if (!overwrite) {
      throw new QloraError({
        what: `an unfinished run lies in ${work}`,
        where: job.out,
        fix: 'go on with --resume, or begin anew with --overwrite',
      });
    }
    await rm(work, { recursive: true, force: true });
  }
  if (!exists && joining)
    throw new QloraError({
      what: 'there is nothing to join',
      where: work,
      fix: 'make the files with --shard first',
    });
  try {
    await mkdir(work, { recursive: true });
    const found = await readFile(join(work, JOB_FILE), 'utf8').catch((error) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined && (await readdir(work)).some((name) => name.endsWith('.safetensors'))) {
      throw new QloraError({
        what: `holds weights, but no ${JOB_FILE} that says of which job`,
        where: work,
        fix: 'remove the folder and begin anew',
      });
    }
    if (found === undefined) return await writeFileAtomic(join(work, JOB_FILE), `${wanted}\n`);
    if (found.trim() !== wanted) throw differentJob(work, found, wanted);
  } catch (error) {
    throw error instanceof QloraError ? error : ioError(work, error);
  }
}

function differentJob(work: string, found: string, wanted: string): QloraError {
  const parse = (text: string): Record<string, unknown> => {
    try {
      const json: unknown = JSON.parse(text);
      return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
    } catch {
      return {};
    }
  };
  const [before, now] = [parse(found), parse(wanted)];
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  const key = [...keys].find((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]));
  const say = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 80);
  return new QloraError({
    what: `is of another job: ${key} is ${say(before[key ?? ''])} there and ${say(now[key ?? ''])} now`,
    where: join(work, JOB_FILE),
    fix: 'say the same as then, or remove the folder and begin anew',
  });
}

/** Removes what interrupted processes left of some files, or of all: files under a temporary name. */
async function removeLeftovers(work: string, files?: readonly string[]): Promise<void> {
  for (const name of await readdir(work)) {
    const concerned = files?.some((file) => name.startsWith(`.${file}.`)) ?? name.startsWith('.');
    if (concerned && name.endsWith('.partial')) await rm(join(work, name), { force: true });
  }
}

async function writeShards(
  work: string,
  job: FolderJob,
  names: readonly string[],
  todo: readonly string[],
  { threads, onProgress, signal }: FolderOptions,
): Promise<void> {
  const shards = todo.map((name) => ({ name, items: job.shards[names.indexOf(name)] ?? [] }));
  const all = shards.flatMap(({ items }) => items);
  const totalBytes = all.reduce((sum, item) => sum + item.bytes, 0);
  const pool = taskPool({ threads, bytes: totalBytes });
  try {
    let before = { bytes: 0, items: 0 };
    for (const { name, items } of shards) {
      await writeShard(join(work, name), items, {
        run: pool.run,
        slots: pool.slots,
        signal,
        onProgress: ({ bytes, items: tensors }) =>
          onProgress?.({
            bytes: before.bytes + bytes,
            totalBytes,
            tensors: before.items + tensors,
            totalTensors: all.length,
          }),
      });
      const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
      before = { bytes: before.bytes + bytes, items: before.items + items.length };
    }
  } finally {
    await pool.close();
  }
}

async function writeShard(
  path: string,
  items: readonly ConversionItem[],
  options: Omit<Parameters<typeof runItems>[1], 'sink'>,
): Promise<void> {
  const bytes = await fileSink(path);
  try {
    const sink = await safetensorsSink(
      bytes,
      items.flatMap(({ outputs }) => outputs),
      { metadata: new Map([['format', 'pt']]), late: new Set(items.flatMap(({ late }) => late ?? [])) },
    );
    await runItems(items, { ...options, sink });
    await sink.finish();
  } catch (error) {
    await bytes.abort();
    throw error;
  }
}

async function filesMissing(work: string, names: readonly string[]): Promise<string[]> {
  const there = new Set(await readdir(work));
  return names.filter((name) => !there.has(name));
}

async function isWithoutFiles(work: string, names: readonly string[]): Promise<boolean> {
  return (await filesMissing(work, names)).length === names.length;
}

/** Adds what is not weights, and gives the folder its name. */
async function complete(
  work: string,
  job: FolderJob,
  names: readonly string[],
  { overwrite = false }: FolderOptions,
): Promise<void> {
  const contents = new Map<string, string[]>();
  let totalSize = 0;
  for (const [index, name] of names.entries()) {
    const { tensors, size } = await readShard(join(work, name));
    const expected = (job.shards[index] ?? []).flatMap(({ outputs }) => outputs.map((info) => info.name));
    const lacking = expected.find((tensor) => !tensors.includes(tensor));
    if (lacking !== undefined || tensors.length !== expected.length) {
      throw new QloraError({
        what: `holds ${tensors.length} tensors${lacking === undefined ? '' : `, but not "${lacking}"`}`,
        where: join(work, name),
        fix: `${expected.length} are needed: remove the file and run again with --resume`,
      });
    }
    contents.set(name, tensors);
    totalSize += size;
  }
  try {
    await job.companions(work);
    if (names.length > 1) await writeFileAtomic(join(work, INDEX_FILE), shardIndex(contents, totalSize));
    await removeLeftovers(work);
    await replace(work, job.out, overwrite);
    // Last: a working folder that does not say what it is of must not be gone on with.
    await rm(join(job.out, JOB_FILE), { force: true });
  } catch (error) {
    throw error instanceof QloraError ? error : ioError(job.out, error);
  }
}

async function readShard(path: string): Promise<{ tensors: string[]; size: number }> {
  const file = await fileSource(path);
  try {
    const { entries } = await readSafetensorsHeader(file);
    return {
      tensors: entries.map(({ name }) => name),
      size: entries.reduce((sum, { byteLength }) => sum + byteLength, 0),
    };
  } finally {
    await file.close();
  }
}

/** Renames a folder, an older one out of its way, which comes back if that fails. */
async function replace(from: string, to: string, overwrite: boolean): Promise<void> {
  await checkResult(to, overwrite);
  if (!(await stat(to).catch(() => undefined))) return rename(from, to);
  const old = temporaryName(resolve(to));
  await rename(to, old);
  await rename(from, to).catch(async (error) => {
    await rename(old, to);
    throw error;
  });
  await rm(old, { recursive: true, force: true });
}
