// The JSON of a run: everything that was measured, and on what. Medians, ratios and marks follow from it, so it holds
// none of them.
import { readFile } from 'node:fs/promises';
import { QloraError } from '@qlora/tensor';
import { writeFileAtomic } from '@qlora/tensor/node';
import { z } from 'zod';
import { SUITES } from './cases';

const machine = z.object({
  cpu: z.string(),
  cores: z.number().int(),
  memoryBytes: z.number(),
  platform: z.string(),
  arch: z.string(),
  /** Vector instructions that matter here, where the system tells. */
  instructions: z.array(z.string()),
  node: z.string(),
  v8: z.string(),
  /** The commit of the repository, with `+` if files differ from it. */
  commit: z.string().nullable(),
  /** Processes that wanted to run, on average over a minute, before and after: what else the machine was doing. */
  load: z.object({ before: z.number(), after: z.number() }),
});

const peer = z.object({
  name: z.string(),
  title: z.string(),
  how: z.string(),
  state: z.enum(['measured', 'absent', 'left out']),
  versions: z.record(z.string(), z.string()),
  /** What it says of itself. */
  note: z.string().nullable(),
  /** Why it is absent. */
  problem: z.string().nullable(),
  /** The command that installs it. */
  install: z.string().nullable(),
});

const contender = z.object({
  id: z.string(),
  peer: z.string(),
  name: z.string(),
  what: z.string(),
  threads: z.number().int(),
  /** Milliseconds of one run, one for each round: the median of the round's runs. */
  ms: z.array(z.number().nonnegative()),
  /** Runs behind all of `ms`. */
  runs: z.number().int(),
  /** Cores that other programs took while it ran, the median over rounds; null where the system does not count that. */
  others: z.number().nullable(),
  /** Peaks in bytes, by what holds it. */
  memory: z.record(z.string(), z.number()).nullable(),
  /** Why it has fewer rounds than others, or none. */
  problem: z.string().nullable(),
});

const measuredCase = z.object({
  id: z.string(),
  title: z.string(),
  group: z.enum(['codec', 'product', 'layer', 'model']),
  amount: z.number(),
  unit: z.enum(['bytes of f32', 'floating-point operations', 'tokens']),
  contenders: z.array(contender),
});

const result = z.object({
  format: z.literal('qlora-bench'),
  version: z.literal(1),
  started: z.string(),
  seconds: z.number(),
  machine,
  settings: z.object({
    suite: z.enum(SUITES),
    filter: z.string(),
    rounds: z.number().int(),
    threads: z.array(z.number().int()),
  }),
  peers: z.array(peer),
  cases: z.array(measuredCase),
});

/** What a run was made on. */
export type Machine = z.infer<typeof machine>;
/** A program that was measured, or was not there. */
export type PeerState = z.infer<typeof peer>;
/** The times of a contender. */
export type MeasuredContender = z.infer<typeof contender>;
/** The contenders of a case. */
export type MeasuredCase = z.infer<typeof measuredCase>;
/** A whole run. */
export type BenchResult = z.infer<typeof result>;

/** Writes a run. */
export function writeResult(path: string, value: BenchResult): Promise<void> {
  return writeFileAtomic(path, `${JSON.stringify(value, (_, v) => (isTime(v) ? rounded(v) : v), 1)}\n`);
}

const isTime = (value: unknown): value is number => typeof value === 'number' && !Number.isInteger(value);
/** Five digits: a clock on a shared machine has no more. */
const rounded = (value: number) => Number(value.toPrecision(5));

/** Reads a run. @throws QloraError if the file is none. */
export async function readResult(path: string): Promise<BenchResult> {
  const refuse = (what: string, cause?: unknown) =>
    new QloraError({
      what,
      where: path,
      fix: 'give a file that `npm run bench -- --json FILE` wrote',
      cause,
    });
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw refuse(`cannot be read: ${(cause as Error).message}`, cause);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw refuse(`is no JSON: ${(cause as Error).message}`, cause);
  }
  const parsed = result.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw refuse(`is no result of the benchmark: ${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
}
