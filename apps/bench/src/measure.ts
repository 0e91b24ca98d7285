// The measurement: contenders take turns. In each round each of them has one turn, of as many runs as fit into a quarter
// of a second, and the round's time is the median of those; each round begins with another contender. So what the machine
// does to one it does to all, and ratios hold where times do not.
import type { Case } from './cases';
import { watchOthers } from './disturbance';
import type { Contender } from './entrants';
import type { Job } from './job';
import type { Answer, Check } from './protocol';
import type { MeasuredCase, MeasuredContender } from './result';
import type { Session } from './session';
import { median } from './statistics';

/** Milliseconds that a turn should take. */
const TURN = 250;
/** Fewest and most runs of a turn; what takes longer than a second runs once. */
const RUNS = { fewest: 2, most: 100 };
const LONG = 1000;
/** Milliseconds between turns, in which threads that wait in a loop fall asleep. */
const PAUSE = 30;

/** What a measurement needs of its surroundings. */
export interface Surroundings {
  /** A driver for a contender; with `fresh`, one that nobody used before. */
  session(contender: Contender, fresh: boolean): Promise<Session>;
  jobFor(contender: Contender): Promise<Job>;
  /** Called before each step of the work, with how many turns of the case are done. */
  onStep?(step: string, turnsDone: number): void;
  pause?: number;
}

interface Entry {
  readonly contender: Contender;
  readonly ms: number[];
  session?: Session;
  handle?: number;
  check?: Check | null | undefined;
  /** Cores that others took in each turn. */
  readonly others: number[];
  /** Milliseconds of a run, as last seen. */
  expected: number;
  runs: number;
  memory?: Readonly<Record<string, number>>;
  problem?: string;
}

/** Rounds that a case gets: slow ones fewer, none less than three unless fewer were asked for. */
export function roundsOf({ share }: Case, rounds: number): number {
  return Math.max(Math.min(rounds, 3), Math.round(rounds * share));
}

/** Measures a case. A contender that fails is left out from there on, and says why. */
export async function measureCase(
  measured: Case,
  contenders: readonly Contender[],
  rounds: number,
  surroundings: Surroundings,
): Promise<MeasuredCase> {
  const { onStep = () => {}, pause = PAUSE } = surroundings;
  const entries = contenders.map(
    (contender): Entry => ({
      contender,
      ms: [],
      others: [],
      expected: 0,
      runs: 0,
    }),
  );
  for (const entry of entries) {
    onStep(`preparing ${entry.contender.id}`, 0);
    await attempt(entry, () => prepare(entry, measured.fresh, surroundings));
  }
  compareResults(entries);
  let turns = 0;
  for (let round = 0; round < rounds; round++) {
    for (const entry of rotated(entries, round)) {
      onStep(`round ${round + 1} of ${rounds}: ${entry.contender.id}`, turns++);
      if (entry.problem === undefined) {
        await sleep(pause);
        await attempt(entry, () => takeTurn(entry));
      }
    }
  }
  for (const entry of entries) {
    await attempt(entry, () => release(entry, measured.fresh));
    if (measured.fresh) await entry.session?.stop();
  }
  const { id, title, group, amount, unit } = measured;
  return { id, title, group, amount, unit, contenders: entries.map(toResult) };
}

async function attempt(entry: Entry, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    entry.problem ??= (error as Error).message;
  }
}

async function prepare(entry: Entry, fresh: boolean, surroundings: Surroundings): Promise<void> {
  entry.session = await surroundings.session(entry.contender, fresh);
  const job = await surroundings.jobFor(entry.contender);
  const { handle, check } = await entry.session.ask({ do: 'prepare', job });
  entry.handle = handle;
  entry.check = check;
  // One run more, to know how many make a turn.
  const { ms } = await entry.session.ask({ do: 'run', handle, times: 1 });
  entry.expected = median(ms);
}

/** How many runs make a turn, if one takes `expected` milliseconds. */
export function runsOfTurn(expected: number): number {
  if (expected > LONG) return 1;
  return Math.min(RUNS.most, Math.max(RUNS.fewest, Math.ceil(TURN / Math.max(expected, 1e-3))));
}

async function takeTurn(entry: Entry): Promise<void> {
  const { session, handle = 0 } = entry;
  const others = watchOthers(session?.pid);
  const answer = await session?.ask({ do: 'run', handle, times: runsOfTurn(entry.expected) });
  const taken = others();
  if (taken !== undefined) entry.others.push(taken);
  const ms = answer?.ms ?? [];
  entry.expected = median(ms);
  entry.ms.push(entry.expected);
  entry.runs += ms.length;
}

async function release(entry: Entry, keepMemory: boolean): Promise<void> {
  if (entry.handle === undefined) return;
  const answer: Answer<'release'> | undefined = await entry.session?.ask({
    do: 'release',
    handle: entry.handle,
  });
  if (keepMemory && answer) entry.memory = answer.memory;
}

/** Leaves out whoever computes something else than the first one that says what it computed. */
function compareResults(entries: readonly Entry[]): void {
  const baseline = entries.find(({ check, problem }) => check && problem === undefined);
  if (!baseline?.check) return;
  for (const entry of entries) {
    if (entry.problem !== undefined || !entry.check) continue;
    const distance = distanceOf(entry.check, baseline.check);
    if (!(distance <= entry.contender.tolerance)) {
      const { id, tolerance } = entry.contender;
      entry.problem = `its result is ${distance.toPrecision(2)} of the root mean square away from that of ${baseline.contender.id}; ${id} may be ${tolerance} away`;
    }
  }
}

/** How far two results are apart, in units of the second's root mean square. */
export function distanceOf(a: Check, b: Check): number {
  if (b.rms === 0) return a.rms === 0 ? 0 : Number.POSITIVE_INFINITY;
  const apart = a.head.slice(0, b.head.length).map((value, i) => Math.abs(value - (b.head[i] ?? 0)));
  return Math.max(Math.abs(a.rms - b.rms), ...apart) / b.rms;
}

const rotated = <T>(list: readonly T[], by: number): T[] => {
  const start = by % Math.max(1, list.length);
  return [...list.slice(start), ...list.slice(0, start)];
};

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function toResult({ contender, ms, others, runs, memory, problem }: Entry): MeasuredContender {
  const { id, peer, name, what, threads } = contender;
  return {
    id,
    peer,
    name,
    what,
    threads,
    ms,
    runs,
    others: others.length > 0 ? median(others) : null,
    memory: memory ?? null,
    problem: problem ?? null,
  };
}
