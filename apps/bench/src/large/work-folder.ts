// The folder in which all of it lies for a while. It is removed however the process ends, and only if it was empty or not
// there before: nobody's files are in it.
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { QloraError } from '@qlora/tensor';
import { ioError } from '@qlora/tensor/node';
import { bytes } from '../format';

/** A folder for a while. */
export interface WorkFolder {
  readonly path: string;
  /** Removes what is in it, and the folder itself if it was made here. */
  remove(): Promise<void>;
}

/**
 * A folder that goes away with the process.
 *
 * @param path made if it is not there. Default: a new one in the system's folder for temporary files.
 * @param keep leave everything.
 * @throws QloraError if something is in it.
 */
export async function workFolder(path: string | undefined, keep: boolean): Promise<WorkFolder> {
  const { folder, made } = await enter(path);
  // A child that was just killed may be writing still: what fails is tried again.
  const options = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 };
  const removeNow = () => rmSync(folder, options);
  if (!keep) process.once('exit', removeNow);
  return {
    path: folder,
    async remove() {
      if (keep) return;
      process.off('exit', removeNow);
      if (made) return rm(folder, options);
      for (const name of await readdir(folder)) await rm(join(folder, name), options);
    },
  };
}

async function enter(path: string | undefined): Promise<{ folder: string; made: boolean }> {
  if (path === undefined) return { folder: await mkdtemp(join(tmpdir(), 'qlora-large-')), made: true };
  const folder = resolve(path);
  try {
    const there = await stat(folder).catch(() => undefined);
    const found = there ? await readdir(folder) : [];
    if (found.length > 0) {
      throw new QloraError({
        what: 'is not empty, and would be removed at the end',
        where: folder,
        fix: 'name a new folder',
      });
    }
    if (!there) await mkdir(folder, { recursive: true });
    return { folder, made: !there };
  } catch (error) {
    throw error instanceof QloraError ? error : ioError(folder, error);
  }
}

/** What the disk of a folder has. */
export interface Disk {
  /** Bytes that anybody can write. */
  readonly free: number;
  /** True for tmpfs and ramfs, where files take the memory that is to be measured and no disk is involved. */
  readonly inMemory: boolean;
}

// linux/magic.h: TMPFS_MAGIC, RAMFS_MAGIC.
const IN_MEMORY = [0x01021994, 0x858458f6];

/** Looks at the disk. */
export async function diskOf(folder: string): Promise<Disk> {
  const { bavail, bsize, type } = await statfs(folder);
  return { free: bavail * bsize, inMemory: IN_MEMORY.includes(type) };
}

/** @throws QloraError if a disk has too little space. */
export function checkSpace(folder: string, free: number, needed: number): void {
  if (free >= needed) return;
  throw new QloraError({
    what: `${bytes(needed)} are needed for the model and its largest output, and ${bytes(free)} are free`,
    where: folder,
    fix: 'say another --dir, or a smaller --size',
  });
}
