// One case of the fuzzing after the other, each from a seed and its number, so that any can be made again alone. Whatever the
// bytes: a file is refused by a rule, or every tensor of it can be read, and no more is read or kept than the file has.
import { type ByteSource, checkRange, elementCount, QloraError, random } from '@qlora/tensor';
import { readImatrix } from '../imatrix';
import { type GgufFile, readGguf } from '../reader';
import { readGgufParts } from '../split';
import { type Forged, takenApart } from './forge';
import { seedFiles, seedMatrices, seedParts } from './fuzz-seeds';
import { mutateBytes, mutateFile } from './mutate';

const apart = async (bytes: Uint8Array) => ({ bytes, file: await takenApart(bytes) });
const files = await Promise.all(seedFiles.map(apart));
const parts = await Promise.all(seedParts.map(apart));
const [matrix, dat] = await Promise.all([
  apart(seedMatrices[0] as Uint8Array),
  seedMatrices[1] as Uint8Array,
]);

/** A file and what was read of it. */
class Counted implements ByteSource {
  readonly label = 'fuzzed';
  readonly size: number;
  readonly #bytes: Uint8Array;
  /** Bytes that were read. */
  total = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }
  async read(offset: number, length: number) {
    checkRange(this.label, this.size, offset, length);
    this.total += length;
    return this.#bytes.subarray(offset, offset + length);
  }
  async close() {}
}

/** Reads all that a file says it has, and holds it to what is there. */
async function readAll(file: GgufFile, size: number): Promise<void> {
  let total = 0;
  for (const { name, shape, type, byteLength } of file.tensors) {
    const bytes = await file.readBytes(name);
    total += bytes.length;
    if (bytes.length !== byteLength) throw new Error(`${name}: ${bytes.length} bytes, not ${byteLength}`);
    if (type && (await file.read(name)).data.length !== elementCount(shape))
      throw new Error(`${name}: values`);
  }
  if (total > size) throw new Error(`tensors of ${total} bytes in a file of ${size}`);
  let items = 0;
  for (const value of file.metadata.values()) items += value.type === 'array' ? value.value.length : 1;
  if (items > size) throw new Error(`${items} values in a file of ${size} bytes`);
}

/** The rule by which it is refused, or `accepted`. Anything else comes through. */
async function verdictOf(read: () => Promise<void>): Promise<string> {
  try {
    await read();
    return 'accepted';
  } catch (error) {
    if (error instanceof QloraError && error.rule) return error.rule;
    throw error;
  }
}

type Kind = 'file' | 'parts' | 'imatrix';

/** The files of a case: valid ones, at least one of them made wrong. */
export function fuzzedFiles(seed: number, number: number): { kind: Kind; files: Uint8Array[] } {
  const rng = random(seed).fork(String(number));
  const wrong = ({ bytes, file }: { bytes: Uint8Array; file: Forged }) => mutateFile(bytes, file, rng);
  if (number % 64 === 63) {
    const at = rng.integer(parts.length);
    return { kind: 'parts', files: parts.map((part, i) => (i === at ? wrong(part) : part.bytes)) };
  }
  if (number % 64 === 31) return { kind: 'imatrix', files: [wrong(matrix)] };
  if (number % 64 === 15) return { kind: 'imatrix', files: [mutateBytes(mutateBytes(dat, rng), rng)] };
  return { kind: 'file', files: [wrong(files[number % files.length] as (typeof files)[0])] };
}

/** What becomes of a case. */
async function probe(kind: Kind, sources: readonly Counted[], size: number): Promise<string> {
  if (kind === 'parts') return verdictOf(async () => readAll(await readGgufParts(sources), size));
  const [source] = sources as [Counted];
  if (kind === 'file') return verdictOf(async () => readAll(await readGguf(source), size));
  return verdictOf(async () => {
    for (const importance of (await readImatrix(source)).entries.values()) {
      if (!importance.every((value) => value >= 0 && value < Number.POSITIVE_INFINITY))
        throw new Error('importance');
    }
  });
}

/** How a run of the fuzzing went. */
export interface FuzzResult {
  /** How many cases came to each verdict. */
  readonly verdicts: ReadonlyMap<string, number>;
  readonly slowestMs: number;
  /** The most bytes that were read of a case, as a multiple of its size. */
  readonly mostRead: number;
}

/** The seed: `QLORA_FUZZ_SEED`, or the time. */
export function fuzzSeed(): number {
  const set = process.env.QLORA_FUZZ_SEED;
  return set === undefined ? Date.now() >>> 0 : Number(set) >>> 0;
}

/**
 * Runs cases: files mostly, importance matrices, split models.
 * @throws with the seed and the number of the case if one does anything but be read or refused.
 */
export async function runFuzz(seed: number, count: number): Promise<FuzzResult> {
  const verdicts = new Map<string, number>();
  let slowestMs = 0;
  let mostRead = 0;
  for (let number = 0; number < count; number++) {
    const { kind, files: bytes } = fuzzedFiles(seed, number);
    const sources = bytes.map((one) => new Counted(one));
    const size = bytes.reduce((sum, { length }) => sum + length, 0);
    const start = performance.now();
    let verdict: string;
    try {
      verdict = await probe(kind, sources, size);
    } catch (error) {
      throw new Error(`case ${number} of seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
    mostRead = Math.max(mostRead, sources.reduce((sum, source) => sum + source.total, 0) / Math.max(size, 1));
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
  }
  return { verdicts, slowestMs, mostRead };
}
