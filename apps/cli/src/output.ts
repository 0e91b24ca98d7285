// What is at --out before anything is computed: hours of training must not end in "exists already", and --overwrite must
// never take away more than an older output of the same kind. Writing itself is atomic (`folderAtomic`, `fileSink`).
import { constants } from 'node:fs';
import { access, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { QloraError } from '@qlora/tensor';
import { fileSource, ioError } from '@qlora/tensor/node';

/**
 * Throws unless a folder can be written at `path`.
 *
 * @param options.marker a file that every folder of this kind has; only such a folder is replaced.
 * @param options.holds whether a folder of this kind can hold a file of that name; none that holds others is replaced.
 * @param options.inputs files and folders that are read; a folder that holds one is not replaced.
 * @throws QloraError if it is there already (unless `overwrite` is set and it is of this kind), holds something that is
 * read, or cannot be made.
 */
export async function checkOutFolder(
  path: string,
  options: {
    readonly overwrite: boolean;
    readonly marker: string;
    readonly holds: (name: string) => boolean;
    readonly inputs: readonly (string | undefined)[];
  },
): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (!info) return checkParent(path);
  if (!info.isDirectory())
    throw new QloraError({
      what: 'is a file, a folder is to be written',
      where: path,
      fix: 'name another --out',
    });
  const entries = await readdir(path, { withFileTypes: true }).catch((cause) => {
    throw ioError(path, cause);
  });
  const names = entries.map(({ name }) => name);
  await refuseFixed(path);
  if (names.length === 0) return checkParent(path);
  await refuseInputs(path, options.inputs);
  if (!options.overwrite) {
    throw new QloraError({
      what: 'exists already and is not empty',
      where: path,
      fix: 'remove it, name another --out, or pass --overwrite',
    });
  }
  if (!names.includes(options.marker)) {
    throw new QloraError({
      what: `holds files but no ${options.marker}, so it is no older output of this command`,
      where: path,
      fix: 'remove it yourself or name another --out',
    });
  }
  const other = entries.find((entry) => entry.isDirectory() || !options.holds(entry.name));
  if (other) {
    throw new QloraError({
      what: `holds ${other.name}, which this command does not write, so it is no older output`,
      where: path,
      fix: 'remove it yourself or name another --out',
    });
  }
  await checkParent(path);
}

/**
 * Throws unless a file can be written at `path`.
 *
 * @param options.magic how every file of this kind begins; only such a file is replaced.
 * @param options.kind what such a file is called in messages; default `MAGIC file`.
 * @param options.option what the path was given as; default `--out`.
 * @throws QloraError if it is there already (unless `overwrite` is set and it is of this kind), or cannot be made.
 */
export async function checkOutFile(
  path: string,
  options: {
    readonly overwrite: boolean;
    readonly magic: string;
    readonly kind?: string;
    readonly option?: string;
  },
): Promise<void> {
  const { magic, kind = `${magic} file`, option = '--out' } = options;
  if (/[\\/]$/.test(path)) {
    throw new QloraError({
      what: 'names a folder, a file is to be written',
      where: path,
      fix: `name a file as ${option}`,
    });
  }
  const info = await stat(path).catch(() => undefined);
  if (!info) return checkParent(path, option);
  if (info.isDirectory()) {
    throw new QloraError({
      what: 'is a folder, a file is to be written',
      where: path,
      fix: `name a file as ${option}`,
    });
  }
  if (!options.overwrite) {
    throw new QloraError({
      what: 'exists already',
      where: path,
      fix: `remove it, name another ${option}, or pass --overwrite`,
    });
  }
  const file = await fileSource(path);
  const start = await file.read(0, Math.min(magic.length, file.size)).finally(() => file.close());
  if (file.size > 0 && new TextDecoder('latin1').decode(start) !== magic) {
    throw new QloraError({
      what: `is no ${kind}, so it is not replaced`,
      where: path,
      fix: `remove it yourself or name another ${option}`,
    });
  }
  await checkParent(path, option);
}

/** Throws for a folder that another one cannot be put in the place of: one where a disk is mounted, or where we stand. */
async function refuseFixed(path: string): Promise<void> {
  const real = await realpath(path);
  const isMount = (await stat(real)).dev !== (await stat(dirname(real))).dev;
  if (!isMount && real !== (await realpath('.'))) return;
  throw new QloraError({
    what: isMount ? 'is where a disk is mounted' : 'is the folder that you are in',
    where: path,
    fix: 'name a folder inside of it',
  });
}

/** Throws if something that is read is the folder or lies in it, seen through links. */
async function refuseInputs(folder: string, inputs: readonly (string | undefined)[]): Promise<void> {
  const out = await realpath(folder);
  for (const input of inputs) {
    const real = input === undefined ? undefined : await realpath(input).catch(() => undefined);
    if (real === undefined || !isInside(real, out)) continue;
    throw new QloraError({
      what: `cannot be replaced, since ${input} is read from it`,
      where: folder,
      fix: 'name another --out',
    });
  }
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return !isAbsolute(way) && way.split(sep)[0] !== '..';
}

/** Throws unless the nearest folder above that exists can be written to. */
async function checkParent(path: string, option = '--out'): Promise<void> {
  let parent = dirname(resolve(path));
  for (;;) {
    const info = await stat(parent).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return undefined;
      throw ioError(path, cause);
    });
    if (info && !info.isDirectory()) {
      throw new QloraError({
        what: 'a part of the path is a file, not a folder',
        where: path,
        fix: `name another ${option}`,
      });
    }
    if (info) break;
    parent = dirname(parent);
  }
  await access(parent, constants.W_OK | constants.X_OK).catch((cause) => {
    throw ioError(parent, cause);
  });
}
