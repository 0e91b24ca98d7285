// One case of the fuzzing after the other, each from a seed and its number, so that any can be made again
// alone.
import { caseRandom, type FuzzCase, type FuzzResult, runFuzz as runCases } from '@qlora-tooling/fuzz';
import { mutateBytes, mutateFile, mutateJson } from './mutate';
import { probeFile, probeIndex } from './probe';
import { realFiles, realIndex, realShards } from './real-files';

const seeds = [...realFiles.values()];
const all = [...seeds, ...realShards.values()];

/** The file of a case: a real one, made wrong. */
export function fuzzedFile(seed: number, number: number): Uint8Array {
  const rng = caseRandom(seed, number);
  return mutateFile(seeds[number % seeds.length] as Uint8Array, rng, all);
}

/** The index of a case. */
function fuzzedIndex(seed: number, number: number): Uint8Array {
  const rng = caseRandom(seed, number);
  let text = new TextDecoder().decode(realIndex);
  for (let changes = 1 + rng.integer(3); changes > 0; changes--) text = mutateJson(text, rng);
  const bytes = new TextEncoder().encode(text);
  return rng.integer(4) === 0 ? mutateBytes(bytes, rng) : bytes;
}

/** Makes and probes a case; every fourth is an index, the others are files. */
async function runCase(seed: number, number: number): Promise<FuzzCase<'read'>> {
  if (number % 4 === 3) return { verdict: await probeIndex(fuzzedIndex(seed, number), realShards) };
  const file = fuzzedFile(seed, number);
  const { verdict, bitsandbytes, bytesRead } = await probeFile(file);
  return {
    verdict: verdict === 'accepted' ? `accepted, ${bitsandbytes} in 4 bits` : verdict,
    measured: { read: bytesRead / Math.max(file.length, 1) },
  };
}

/**
 * Runs cases. `most.read` is the most bytes that were read of a file, as a multiple of its size.
 * @throws with the seed and the number of the case if one does anything but be read or refused.
 */
export function runFuzz(seed: number, count: number): Promise<FuzzResult<'read'>> {
  return runCases(seed, count, (number) => runCase(seed, number));
}
