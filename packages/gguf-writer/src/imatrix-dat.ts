// The `.dat` form of importance matrices, which llama.cpp wrote until 2025 and still reads (common/imatrix-loader.cpp,
// common_imatrix_load_legacy; llama.cpp v0.5.0). All numbers are little endian:
//
//   i32 number of entries; for each: i32 length of the name, the name, i32 number of calls, i32 number of values, f32 values
//   at the end, in files since 2024: i32 number of chunks, i32 length of the data set's name, that name
//
// An entry's values are means times the number of calls. There is no magic: any file is one as long as its lengths fit, so they
// are held against the file's size before anything is read.
import type { ByteSource } from '@qlora/tensor';
import { MAX_TENSOR_NAME } from './container';
import { checkMean, type Imatrix, type Refuse, refusals } from './imatrix-rules';

// The least that an entry takes: three numbers, a name of one byte, one value.
const SMALLEST_ENTRY = 4 + 1 + 4 + 4 + 4;
const MAX_DATASET = 1 << 16;

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenientDecoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads a file; see readImatrix for its rules. */
export async function readDat(bytes: ByteSource): Promise<Imatrix> {
  const file = new DatReader(bytes);
  const count = await file.i32('the number of entries');
  if (count < 1 || count > file.left / SMALLEST_ENTRY) {
    file.refuse('count', `says that it has ${count} entries`, 'give a file that llama-imatrix wrote');
  }
  const entries = new Map<string, Float32Array>();
  for (let i = 0; i < count; i++) {
    const name = await file.name();
    if (entries.has(name)) file.refuse('duplicate', 'is there twice', undefined, name);
    entries.set(name, await file.values(name));
  }
  return { format: 'dat', entries, ...(await file.trailer()) };
}

/** A place in a file, which moves on. */
class DatReader {
  readonly refuse: Refuse;
  readonly #bytes: ByteSource;
  #at = 0;

  constructor(bytes: ByteSource) {
    this.#bytes = bytes;
    this.refuse = refusals(bytes.label);
  }

  /** Bytes that are not read yet. */
  get left(): number {
    return this.#bytes.size - this.#at;
  }

  async i32(what: string): Promise<number> {
    const four = await this.#take(4, what);
    return new DataView(four.buffer, four.byteOffset).getInt32(0, true);
  }

  async name(): Promise<string> {
    const length = await this.i32('the length of a name');
    if (length < 1 || length > MAX_TENSOR_NAME) {
      this.refuse('name-length', `a name has ${length} bytes`, `1 to ${MAX_TENSOR_NAME} are possible`);
    }
    const bytes = await this.#take(length, 'a name');
    try {
      const name = strictDecoder.decode(bytes);
      if (!name.includes('\0')) return name;
    } catch {}
    return this.refuse('encoding', 'a name is no UTF-8, or has a zero in it');
  }

  /** Values of an entry, divided by its number of calls. */
  async values(name: string): Promise<Float32Array> {
    const calls = await this.i32('the number of calls');
    if (calls < 0) this.refuse('count', `has been called ${calls} times`, undefined, name);
    const count = await this.i32('the number of values');
    if (count < 1 || count > this.left / 4) {
      this.refuse('length', `says that it has ${count} values; ${this.left} bytes are left`, undefined, name);
    }
    const bytes = await this.#take(4 * count, 'values');
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return Float32Array.from({ length: count }, (_, i) => {
      const value = view.getFloat32(4 * i, true);
      return checkMean(calls > 0 ? value / Math.fround(calls) : value, i, name, this.refuse);
    });
  }

  /** What comes after the entries, if anything. */
  async trailer(): Promise<Pick<Imatrix, 'chunks' | 'datasets'>> {
    if (this.left === 0) return { chunks: 0, datasets: [] };
    const chunks = await this.i32('the number of chunks');
    if (this.left === 0) return { chunks, datasets: [] };
    const length = await this.i32('the length of the name of the data set');
    if (length < 0 || length > MAX_DATASET || length !== this.left) {
      const what = `${this.left} bytes follow, and the name of the data set has ${length}`;
      this.refuse('trailing', what, 'give a file that llama-imatrix wrote');
    }
    const dataset = lenientDecoder.decode(await this.#take(length, 'the name of the data set'));
    return { chunks, datasets: dataset === '' ? [] : [dataset] };
  }

  async #take(length: number, what: string): Promise<Uint8Array> {
    if (length > this.left) this.refuse('truncated', `ends in ${what}`, 'the file is cut');
    const bytes = await this.#bytes.read(this.#at, length);
    this.#at += length;
    return bytes;
  }
}
