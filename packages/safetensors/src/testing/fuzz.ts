// One case of the fuzzing after the other, each from a seed and its number, so that any can be made again
// alone.
import { random } from '@qlora/tensor';
import { mutateBytes, mutateFile, mutateJson } from './mutate';
import { type Probe, ProbeFailure, probeFile, probeIndex } from './probe';
import { realFiles, realIndex, realShards } from './real-files';

const seeds = [...realFiles.values()];
const all = [...seeds, ...realShards.values()];

/** The file of a case: a real one, made wrong. */
export function fuzzedFile(seed: number, number: number): Uint8Array {
  const rng = random(seed).fork(String(number));
  return mutateFile(seeds[number % seeds.length] as Uint8Array, rng, all);
}

/** The index of a case. */
function fuzzedIndex(seed: number, number: number): Uint8Array {
  const rng = random(seed).fork(String(number));
  let text = new TextDecoder().decode(realIndex);
  for (let changes = 1 + rng.integer(3); changes > 0; changes--) text = mutateJson(text, rng);
  const bytes = new TextEncoder().encode(text);
  return rng.integer(4) === 0 ? mutateBytes(bytes, rng) : bytes;
}

/** How a run of the fuzzing went. */
export interface FuzzResult {
  /** How many cases came to each verdict. */
  readonly verdicts: ReadonlyMap<string, number>;
  readonly slowestMs: number;
  /** The most bytes that were read of a file, as a multiple of its size. */
  readonly mostRead: number;
}

/** The seed: `QLORA_FUZZ_SEED`, or the time. */
export function fuzzSeed(): number {
  const set = process.env.QLORA_FUZZ_SEED;
  return set === undefined ? Date.now() >>> 0 : Number(set) >>> 0;
}

/**
 * Runs cases; every fourth is an index, the others are files.
 * @throws with the seed and the number of the case if one does anything but be read or refused.
 */
export async function runFuzz(seed: number, count: number): Promise<FuzzResult> {
  const verdicts = new Map<string, number>();
  let slowestMs = 0;
  let mostRead = 0;
  for (let number = 0; number < count; number++) {
    const start = performance.now();
    let verdict: string;
    try {
      if (number % 4 === 3) verdict = await probeIndex(fuzzedIndex(seed, number), realShards);
      else {
        const file = fuzzedFile(seed, number);
        const probe: Probe = await probeFile(file);
        verdict = probe.verdict === 'accepted' ? `accepted, ${probe.bitsandbytes} in 4 bits` : probe.verdict;
        mostRead = Math.max(mostRead, probe.bytesRead / Math.max(file.length, 1));
      }
    } catch (error) {
      throw new ProbeFailure(`case ${number} of seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
  }
  return { verdicts, slowestMs, mostRead };
}
