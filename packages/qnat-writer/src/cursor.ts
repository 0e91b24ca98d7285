// Reading a file's head in order, little endian, in windows: such a head says nowhere how long it is, and the file behind
// it may be many gigabytes.
import type { ByteSource } from '@qlora/tensor';
import type { Refuse } from './refuse';

const WINDOW = 64 * 1024;

/** A position in a file, and the numbers and strings from there on. */
export class Cursor {
  readonly #bytes: ByteSource;
  readonly #refuse: Refuse;
  #window: Uint8Array = new Uint8Array(0);
  #windowStart = 0;
  /** Position of the next byte. */
  at: number;

  constructor(bytes: ByteSource, at: number, refuse: Refuse) {
    this.#bytes = bytes;
    this.#refuse = refuse;
    this.at = at;
  }

  /** The next `length` bytes. @throws QloraError `truncated` if the file ends before. */
  async take(length: number, what: string): Promise<DataView> {
    const { size } = this.#bytes;
    if (length > size - this.at) {
      return this.#refuse(
        'truncated',
        `${what} takes ${length} bytes at ${this.at}, the file has ${size}`,
        undefined,
        'fetch the file again',
      );
    }
    let start = this.at - this.#windowStart;
    if (start + length > this.#window.length) {
      this.#window = await this.#bytes.read(this.at, Math.min(Math.max(length, WINDOW), size - this.at));
      this.#windowStart = this.at;
      start = 0;
    }
    this.at += length;
    return new DataView(this.#window.buffer, this.#window.byteOffset + start, length);
  }

  async u8(what: string): Promise<number> {
    return (await this.take(1, what)).getUint8(0);
  }

  async u32(what: string): Promise<number> {
    return (await this.take(4, what)).getUint32(0, true);
  }

  /** @throws QloraError `overflow` beyond 2^53. */
  async u64(what: string): Promise<number> {
    const value = (await this.take(8, what)).getBigUint64(0, true);
    return value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : this.#refuse('overflow', `${what} is ${value}`);
  }

  /** A length in 32 bits and as many bytes of UTF-8. */
  async string(what: string, limit: number): Promise<string> {
    const length = await this.u32(`the length of ${what}`);
    if (length > limit)
      return this.#refuse('string-length', `${what} has ${length} bytes`, undefined, `the limit is ${limit}`);
    const view = await this.take(length, what);
    const raw = new Uint8Array(view.buffer, view.byteOffset, length);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
    } catch {
      return this.#refuse('string', `${what} is no UTF-8`);
    }
  }
}
