// Random-access bytes: what every container reader reads from and every writer writes to, so that the same reader
// works on a file, a Blob in a browser, or an array. Files are in `@qlora/tensor/node`.
import { QloraError } from './error';

/** Bytes that can be read at any offset. */
export interface ByteSource {
  /** Total length in bytes. */
  readonly size: number;
  /** File name or similar, for messages. */
  readonly label: string;
  /** @throws QloraError if the range is not inside the source. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Bytes that can be written at any offset and then completed or dropped as a whole. */
export interface ByteSink {
  readonly label: string;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes the result visible under its final name, atomically. */
  finish(): Promise<void>;
  /** Drops what was written. Harmless after `finish`. */
  abort(): Promise<void>;
}

/** Throws unless `length` bytes at `offset` lie inside `size`. */
export function checkRange(label: string, size: number, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!valid || offset + length > size) {
    throw new QloraError({
      what: `bytes ${offset} to ${offset + length} lie outside its ${size} bytes`,
      where: label,
      fix: 'the file is truncated or its directory is wrong: fetch it again',
    });
  }
}

/** A source over bytes in memory; reads are views, not copies: who writes to one writes to `bytes`. */
export function bytesSource(bytes: Uint8Array, label = 'bytes'): ByteSource {
  return {
    size: bytes.byteLength,
    label,
    async read(offset, length) {
      checkRange(label, bytes.byteLength, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    async close() {},
  };
}

/**
 * A source over a Blob or File, as a browser's file picker gives it. A file that was changed or removed after it was
 * picked cannot be read any more.
 */
export function blobSource(blob: Blob, label = 'blob'): ByteSource {
  return {
    size: blob.size,
    label,
    async read(offset, length) {
      checkRange(label, blob.size, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        const what = `bytes ${offset} to ${offset + length} cannot be read: ${(cause as Error).message}`;
        throw new QloraError({ what, where: label, fix: 'choose the file again', cause });
      }
    },
    async close() {},
  };
}

/** A sink that collects into memory; `bytes()` gives the result after `finish`. */
export function memorySink(label = 'memory'): ByteSink & { bytes(): Uint8Array } {
  let buffer = new Uint8Array(1024);
  let length = 0;
  let finished = false;
  return {
    label,
    async write(offset, bytes) {
      const end = offset + bytes.byteLength;
      if (end > buffer.byteLength) {
        const grown = new Uint8Array(Math.max(end, buffer.byteLength * 2));
        grown.set(buffer.subarray(0, length));
        buffer = grown;
      }
      buffer.set(bytes, offset);
      length = Math.max(length, end);
    },
    async finish() {
      finished = true;
    },
    async abort() {
      if (!finished) length = 0;
    },
    bytes() {
      if (!finished) throw new QloraError({ what: 'bytes() called before finish()', where: label });
      return buffer.slice(0, length);
    },
  };
}
