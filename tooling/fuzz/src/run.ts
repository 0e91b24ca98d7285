// Runs one case after the other, each from a seed and its number, so that any can be made again alone.
import { type Random, random } from '@qlora/tensor';
import { ProbeFailure } from './probe';

/** What became of a case. */
export interface FuzzCase<Measure extends string = never> {
  /** `accepted` in some form, or the rule by which it was refused. Cases are counted by it. */
  readonly verdict: string;
  /** Numbers of which the largest of a run is wanted, such as the bytes read as a multiple of the size. */
  readonly measured?: Readonly<Partial<Record<Measure, number>>>;
}

/** How a run went. */
export interface FuzzResult<Measure extends string = never> {
  /** How many cases came to each verdict. */
  readonly verdicts: ReadonlyMap<string, number>;
  /** The longest that a case took, in milliseconds, with the making of it. */
  readonly slowestMs: number;
  /** The largest of each number that cases measured; absent if none did. */
  readonly most: Readonly<Partial<Record<Measure, number>>>;
}

/**
 * The seed of a run, `QLORA_FUZZ_SEED` or the time, modulo 2³². Prints it with how to repeat the run.
 * @param what What is fuzzed, for the print.
 * @throws if `QLORA_FUZZ_SEED` is no whole number.
 */
export function fuzzSeed(what: string): number {
  const set = process.env.QLORA_FUZZ_SEED;
  if (set !== undefined && !/^\d+$/.test(set))
    throw new Error(`QLORA_FUZZ_SEED is "${set}"; it must be a whole number`);
  const seed = Number(set ?? Date.now()) >>> 0;
  console.log(`fuzzing ${what}: seed ${seed} (QLORA_FUZZ_SEED=${seed} repeats it)`);
  return seed;
}

/** The random numbers of one case, which do not depend on the cases before it. */
export function caseRandom(seed: number, number: number): Random {
  return random(seed).fork(String(number));
}

/**
 * Runs the cases 0 to `count` − 1.
 * @param seed The seed that `one` makes its cases from.
 * @param one Makes a case by its number and probes it; throws if the reader does anything but read or refuse it.
 * @throws ProbeFailure with the seed and the number of the first case that throws, which is its cause.
 */
export async function runFuzz<Measure extends string = never>(
  seed: number,
  count: number,
  one: (number: number) => Promise<FuzzCase<Measure>>,
): Promise<FuzzResult<Measure>> {
  const verdicts = new Map<string, number>();
  const most: Partial<Record<Measure, number>> = {};
  let slowestMs = 0;
  for (let number = 0; number < count; number++) {
    const start = performance.now();
    let outcome: FuzzCase<Measure>;
    try {
      outcome = await one(number);
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      throw new ProbeFailure(`case ${number} of seed ${seed}: ${said}`, { cause: error });
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
    verdicts.set(outcome.verdict, (verdicts.get(outcome.verdict) ?? 0) + 1);
    for (const [name, value] of Object.entries(outcome.measured ?? {}) as [Measure, number][])
      most[name] = Math.max(most[name] ?? value, value);
  }
  return { verdicts, slowestMs, most };
}

/** The verdicts of a run for print, a line each, the most frequent first. */
export function verdictLines({ verdicts }: Pick<FuzzResult, 'verdicts'>): string {
  return [...verdicts]
    .sort(([, a], [, b]) => b - a)
    .map(([verdict, count]) => `${count} ${verdict}`)
    .join('\n');
}
