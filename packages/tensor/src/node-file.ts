// Reading and atomic writing of single files.
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type ByteSink, type ByteSource, checkRange } from './bytes';
import { QloraError } from './error';

// Node ends the process when it is asked for 2 GiB or more at once.
const MAX_IO_BYTES = 2 ** 30;

/**
 * A file as random-access bytes.
 * @throws QloraError if it is missing, a folder, or not readable.
 */
export async function fileSource(path: string): Promise<ByteSource> {
  const info = await stat(path).catch((cause) => {
    throw ioError(path, cause);
  });
  if (!info.isFile())
    throw new QloraError({ what: 'is no file', where: path, fix: 'name a file, not a folder' });
  const handle = await open(path, 'r').catch((cause) => {
    throw ioError(path, cause);
  });
  return {
    size: info.size,
    label: path,
    async read(offset, length) {
      checkRange(path, info.size, offset, length);
      const bytes = allocate(path, length);
      let done = 0;
      while (done < length) {
        const count = Math.min(length - done, MAX_IO_BYTES);
        const { bytesRead } = await handle.read(bytes, done, count, offset + done).catch((cause) => {
          throw ioError(path, cause);
        });
        if (bytesRead === 0) {
          throw new QloraError({
            what: `ended at byte ${offset + done}`,
            where: path,
            fix: 'it was cut while being read',
          });
        }
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

/**
 * A file that appears under `path` only when complete: bytes go to a temporary name in the same folder, `finish`
 * flushes and renames, `abort` removes. The folder is made if missing. An existing file is replaced on `finish`.
 */
export async function fileSink(path: string): Promise<ByteSink> {
  await mkdir(dirname(path), { recursive: true }).catch((cause) => {
    throw ioError(dirname(path), cause);
  });
  const temporary = temporaryName(path);
  const handle = await open(temporary, 'wx').catch((cause) => {
    throw ioError(path, cause);
  });
  let state: 'open' | 'finished' | 'aborted' = 'open';
  return {
    label: path,
    async write(offset, bytes) {
      let done = 0;
      while (done < bytes.byteLength) {
        const { bytesWritten } = await handle
          .write(bytes, done, Math.min(bytes.byteLength - done, MAX_IO_BYTES), offset + done)
          .catch((cause) => {
            throw ioError(path, cause);
          });
        done += bytesWritten;
      }
    },
    async finish() {
      await handle.sync().catch((cause) => {
        throw ioError(path, cause);
      });
      await handle.close();
      await rename(temporary, path).catch((cause) => {
        throw ioError(path, cause);
      });
      state = 'finished';
    },
    async abort() {
      if (state !== 'open') return;
      state = 'aborted';
      await handle.close().catch(() => {});
      await rm(temporary, { force: true });
    },
  };
}

function allocate(path: string, length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new QloraError({
      what: `${length} bytes do not fit into memory at once`,
      where: path,
      fix: 'read it in parts',
      cause,
    });
  }
}

/** Writes a whole small file atomically. Text is written as UTF-8. */
export async function writeFileAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const sink = await fileSink(path);
  try {
    await sink.write(0, typeof content === 'string' ? new TextEncoder().encode(content) : content);
    await sink.finish();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** A hidden name beside `path` for something unfinished. */
export function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.partial`);
}

/** A file system failure in this project's words. */
export function ioError(path: string, cause: unknown): QloraError {
  const code = (cause as NodeJS.ErrnoException)?.code;
  const known: Record<string, [string, string]> = {
    ENOENT: ['no such file or folder', 'check the path'],
    EACCES: ['permission denied', 'check who owns it'],
    EPERM: ['not permitted', 'check who owns it'],
    EROFS: ['the file system is read-only', 'write elsewhere'],
    EISDIR: ['is a folder', 'name a file'],
    ENOTDIR: ['a part of the path is a file, not a folder', 'check the path'],
    ENOSPC: ['no space left on the device', 'free some or write elsewhere'],
    EEXIST: ['exists already', 'remove it or name another'],
    ENOTEMPTY: ['exists already and is not empty', 'remove it or name another'],
  };
  const [what, fix] = (code && known[code]) || [String((cause as Error)?.message ?? cause), undefined];
  return new QloraError({ what, where: path, ...(fix ? { fix } : {}), cause });
}
