// A whole run: find the programs, make the data, measure case after case.
import { type Case, casesOf, type Suite } from './cases';
import { dataFolder } from './data';
import { contendersFor } from './entrants';
import { describeMachine, loadNow } from './machine';
import { measureCase, roundsOf, runsOfTurn } from './measure';
import type { PeerName } from './peers';
import { findPeers } from './presence';
import type { Progress } from './progress';
import type { BenchResult, MeasuredCase } from './result';
import { sessionPool } from './session-pool';

/** What is to be run. */
export interface RunOptions {
  readonly suite: Suite;
  readonly filter: string;
  readonly rounds: number;
  readonly threads: readonly number[];
  readonly peers: ReadonlySet<PeerName>;
}

/** Runs and returns what was measured. Everything that it started or wrote is gone afterwards. */
export async function runBenchmark(options: RunOptions, progress: Progress): Promise<BenchResult> {
  const { suite, filter, rounds, threads } = options;
  const started = new Date();
  const machine = describeMachine();
  const cases = casesOf(suite, filter);
  const pool = sessionPool();
  const data = await dataFolder();
  try {
    const peers = await findPeers(pool, options.peers, (step) => progress.say(step));
    const present = new Set(
      peers.flatMap(({ state, name }) => (state === 'measured' ? [name as PeerName] : [])),
    );
    const measured: MeasuredCase[] = [];
    const entered = cases.map((one) => ({ one, contenders: contendersFor(one.work, threads, present) }));
    progress.start(entered.map(({ one, contenders }) => effort(one, rounds, contenders.length)));
    for (const { one, contenders } of entered) {
      const turns = roundsOf(one, rounds) * contenders.length;
      progress.nextCase(one.title);
      measured.push(
        await measureCase(one, contenders, roundsOf(one, rounds), {
          session: (contender, fresh) => pool.get(contender.peer, contender.threads, fresh),
          jobFor: async ({ variant }) => ({ ...(await data.jobFor(one.work)), variant }),
          onStep: (step, done) => progress.step(step, done / turns),
        }),
      );
    }
    progress.stop();
    return {
      format: 'qlora-bench',
      version: 1,
      started: started.toISOString(),
      seconds: Math.round((Date.now() - started.getTime()) / 1000),
      machine: { ...machine, load: { ...machine.load, after: loadNow() } },
      settings: { suite, filter, rounds, threads: [...threads] },
      peers,
      cases: measured,
    };
  } finally {
    progress.stop();
    await pool.stopAll();
    await data.remove();
  }
}

/** Milliseconds of a run, very roughly, for the time left. */
function guessOf({ amount, unit }: Case): number {
  switch (unit) {
    case 'bytes of f32':
      return amount / 4e5;
    case 'floating-point operations':
      return amount / 5e7;
    case 'tokens':
      return amount < 400 ? 50 : 6000;
  }
}

/** Seconds that a case takes, as roughly: for each contender its set-up and its turns. */
function effort(one: Case, rounds: number, contenders: number): number {
  const run = guessOf(one);
  const setUp = (one.fresh ? 6000 : 300) + 5 * run;
  return (contenders * (setUp + roundsOf(one, rounds) * runsOfTurn(run) * run)) / 1000;
}
