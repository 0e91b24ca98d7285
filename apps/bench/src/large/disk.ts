// What the disk does when nothing is computed: reading, copying and writing as many bytes, in pieces of 16 MB, to the end,
// which is when the disk has them (fsync).
import { writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Bytes of a piece. */
export const PIECE = 16 * 1024 * 1024;

/** Called with the bytes that are done. */
export type OnBytes = (bytes: number) => void;

/** Reads files to their ends. @returns bytes that were read. */
export async function readFiles(paths: readonly string[], onBytes: OnBytes = () => {}): Promise<number> {
  let done = 0;
  const buffer = new Uint8Array(PIECE);
  for (const path of paths) {
    await using(path, 'r', async (file) => {
      for (let at = 0; ; ) {
        const { bytesRead } = await file.read(buffer, 0, PIECE, at);
        if (bytesRead === 0) return;
        at += bytesRead;
        done += bytesRead;
        onBytes(done);
      }
    });
  }
  return done;
}

/** Copies files, one behind the other, into a new one; a piece is read while another is written. @returns bytes copied. */
export async function copyFiles(
  paths: readonly string[],
  to: string,
  onBytes: OnBytes = () => {},
): Promise<number> {
  let done = 0;
  const buffers = [new Uint8Array(PIECE), new Uint8Array(PIECE)];
  await using(to, 'wx', async (target) => {
    let writing: Promise<void> = Promise.resolve();
    for (const path of paths) {
      await using(path, 'r', async (file) => {
        for (let at = 0; ; ) {
          // The other one is being written.
          const buffer = buffers.reverse()[0] ?? new Uint8Array(PIECE);
          const [{ bytesRead }] = await Promise.all([file.read(buffer, 0, PIECE, at), writing]);
          if (bytesRead === 0) return;
          writing = writeAll(target, buffer.subarray(0, bytesRead), done);
          at += bytesRead;
          done += bytesRead;
          onBytes(done);
        }
      });
    }
    await writing;
    await target.sync();
  });
  return done;
}

/** Writes a new file of `length` bytes, `piece` again and again. */
export async function writeNew(path: string, length: number, piece: Uint8Array): Promise<void> {
  await using(path, 'wx', async (file) => {
    for (let at = 0; at < length; at += piece.length)
      await writeAll(file, piece.subarray(0, Math.min(piece.length, length - at)), at);
    await file.sync();
  });
}

async function using(path: string, flags: string, body: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, flags);
  try {
    await body(file);
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}

/**
 * Lets Linux forget the files that it keeps in memory, so that reading means the disk. Takes the rights of root.
 * @returns whether it did.
 */
export function dropCaches(): boolean {
  try {
    // Documentation/admin-guide/sysctl/vm.rst: 1 frees the page cache, as far as it is clean; ours is, after fsync.
    writeFileSync('/proc/sys/vm/drop_caches', '1\n');
    return true;
  } catch {
    return false;
  }
}
