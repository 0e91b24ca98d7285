// One case of the fuzzing after the other, each from a seed and its number, so that any can be made again alone.
import { readdirSync, readFileSync } from 'node:fs';
import { caseRandom, type FuzzResult, runFuzz as runCases } from '@qlora-tooling/fuzz';
import { fileOf, threeTensors } from './index';
import { mutateBytes, mutateNumber, mutateStructure } from './mutate';
import { probeFile } from './probe';
import { sampleFiles } from './samples';

const goldens = new URL('../goldens/', import.meta.url);
const crate = readdirSync(goldens)
  .filter((name) => name.endsWith('.qnat'))
  .map((name) => new Uint8Array(readFileSync(new URL(name, goldens))));
const small = await fileOf(threeTensors(), { name: 'test' });
const ours = [small, ...(await sampleFiles()).values()];

/** The file of a case: of every five one of the crate's, and of the others half the small one, since it is the fastest. */
function fuzzedFile(seed: number, number: number): Uint8Array {
  const rng = caseRandom(seed, number);
  const isCrate = number % 5 === 4;
  const list = isCrate ? crate : ours;
  let file = isCrate || rng.integer(2) ? (list[rng.integer(list.length)] as Uint8Array) : small;
  // A change of structure needs a file that is right; blind ones follow.
  if (!isCrate && rng.integer(8)) file = mutateStructure(file, rng);
  else file = rng.integer(2) ? mutateBytes(file, rng) : mutateNumber(file, rng);
  if (rng.integer(8) === 0) file = rng.integer(2) ? mutateBytes(file, rng) : mutateNumber(file, rng);
  return file;
}

/**
 * Runs cases. `most.decoded` is the most that came out of a file, as a multiple of its size.
 * @throws with the seed and the number of the case if one does anything but be read or refused by a rule.
 */
export function runFuzz(seed: number, count: number): Promise<FuzzResult<'decoded'>> {
  return runCases(seed, count, async (number) => {
    const { verdict, decoded } = await probeFile(fuzzedFile(seed, number));
    return { verdict, measured: { decoded } };
  });
}
