// One case of the fuzzing after the other, each from a seed and its number, so that any can be made again alone. Whatever the
// bytes: a file is refused by a rule, or every tensor of it can be read, and no more is read or kept than the file has.
import { elementCount } from '@qlora/tensor';
import {
  type CountingSource,
  caseRandom,
  countingSource,
  type FuzzCase,
  type FuzzResult,
  ProbeFailure,
  ruleOf,
  runFuzz as runCases,
} from '@qlora-tooling/fuzz';
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

/** Reads all that a file says it has, and holds it to what is there. */
async function readAll(file: GgufFile, size: number): Promise<void> {
  let total = 0;
  for (const { name, shape, type, byteLength } of file.tensors) {
    const bytes = await file.readBytes(name);
    total += bytes.length;
    if (bytes.length !== byteLength)
      throw new ProbeFailure(`${name}: ${bytes.length} bytes, not ${byteLength}`);
    if (type && (await file.read(name)).data.length !== elementCount(shape))
      throw new ProbeFailure(`${name}: values`);
  }
  if (total > size) throw new ProbeFailure(`tensors of ${total} bytes in a file of ${size}`);
  let items = 0;
  for (const value of file.metadata.values()) items += value.type === 'array' ? value.value.length : 1;
  if (items > size) throw new ProbeFailure(`${items} values in a file of ${size} bytes`);
}

type Kind = 'file' | 'parts' | 'imatrix';

/** The files of a case: valid ones, at least one of them made wrong. */
export function fuzzedFiles(seed: number, number: number): { kind: Kind; files: Uint8Array[] } {
  const rng = caseRandom(seed, number);
  const wrong = ({ bytes, file }: { bytes: Uint8Array; file: Forged }) => mutateFile(bytes, file, rng);
  if (number % 64 === 63) {
    const at = rng.integer(parts.length);
    return { kind: 'parts', files: parts.map((part, i) => (i === at ? wrong(part) : part.bytes)) };
  }
  if (number % 64 === 31) return { kind: 'imatrix', files: [wrong(matrix)] };
  if (number % 64 === 15) return { kind: 'imatrix', files: [mutateBytes(mutateBytes(dat, rng), rng)] };
  return { kind: 'file', files: [wrong(files[number % files.length] as (typeof files)[0])] };
}

/** Reads what there is in the files of a case. */
async function readCase(kind: Kind, sources: readonly CountingSource[], size: number): Promise<void> {
  const [source] = sources as [CountingSource];
  if (kind === 'parts') return readAll(await readGgufParts(sources), size);
  if (kind === 'file') return readAll(await readGguf(source), size);
  for (const importance of (await readImatrix(source)).entries.values()) {
    if (!importance.every((value) => value >= 0 && value < Number.POSITIVE_INFINITY))
      throw new ProbeFailure('importance');
  }
}

/** Makes and probes a case. */
async function runCase(seed: number, number: number): Promise<FuzzCase<'read'>> {
  const { kind, files: bytes } = fuzzedFiles(seed, number);
  const sources = bytes.map(countingSource);
  const size = bytes.reduce((sum, { length }) => sum + length, 0);
  let verdict = 'accepted';
  try {
    await readCase(kind, sources, size);
  } catch (error) {
    if (error instanceof ProbeFailure) throw error;
    verdict = ruleOf(error, 'reading');
  }
  const read = sources.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  return { verdict, measured: { read: read / Math.max(size, 1) } };
}

/**
 * Runs cases: files mostly, importance matrices, split models. `most.read` is the most bytes that were read of a case, as a
 * multiple of its size.
 * @throws with the seed and the number of the case if one does anything but be read or refused.
 */
export function runFuzz(seed: number, count: number): Promise<FuzzResult<'read'>> {
  return runCases(seed, count, (number) => runCase(seed, number));
}
