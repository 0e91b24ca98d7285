// Folders that appear complete or not at all.
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { QloraError } from './error';
import { ioError, noteUnfinished, temporaryName } from './node-file';

/**
 * Lets `build` fill a temporary folder beside `path`, then renames it to `path`; if `build` fails, nothing is left.
 *
 * @throws QloraError if `path` exists and is not an empty folder, unless `overwrite` is set: then the old folder is
 * replaced at the end, when the new one is complete.
 */
export async function folderAtomic<T>(
  path: string,
  build: (temporary: string) => Promise<T>,
  options: { overwrite?: boolean } = {},
): Promise<T> {
  const existing = await stat(path).catch(() => undefined);
  if (existing && !existing.isDirectory()) {
    throw new QloraError({
      what: 'is a file, a folder was to be written',
      where: path,
      fix: 'name another --out',
    });
  }
  const occupied = existing !== undefined && (await readdir(path)).length > 0;
  if (occupied && !options.overwrite) {
    throw new QloraError({
      what: 'exists already and is not empty',
      where: path,
      fix: 'remove it, name another, or pass --overwrite',
    });
  }
  await mkdir(dirname(path), { recursive: true }).catch((cause) => {
    throw ioError(dirname(path), cause);
  });
  const temporary = temporaryName(path);
  const done = noteUnfinished(temporary);
  try {
    await mkdir(temporary);
    const result = await build(temporary);
    // From here on it is complete: whoever ends the process must not take it away between the renames.
    done();
    if (existing) {
      const old = temporaryName(path);
      await rename(path, old);
      await rename(temporary, path).catch(async (error) => {
        await rename(old, path);
        throw error;
      });
      await rm(old, { recursive: true, force: true });
    } else await rename(temporary, path);
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error instanceof QloraError || !(error as NodeJS.ErrnoException).code
      ? error
      : ioError(path, error);
  } finally {
    done();
  }
}
