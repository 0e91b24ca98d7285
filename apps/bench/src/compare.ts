// The regression check: two runs of one machine, and which of our own times became longer than the tolerance and the
// noise of both explain. Peers that are in both runs tell whether the machine itself was slower.
import type { BenchResult, Machine, MeasuredContender } from './result';
import { median, relativeSpread } from './statistics';

/** A contender of a case in both runs. */
export interface Change {
  readonly caseId: string;
  readonly contender: string;
  readonly before: number;
  readonly after: number;
  /** after / before: 1.2 is a fifth slower. */
  readonly factor: number;
  /** Up to which factor it is neither slower nor, inverted, faster. */
  readonly allowed: number;
  readonly verdict: 'slower' | 'faster' | 'as before';
}

/** What became of two runs. */
export interface Comparison {
  /** Our own. */
  readonly changes: readonly Change[];
  /** Median factor of the peers in both runs: what the machine did. Undefined without peers. */
  readonly machineFactor: number | undefined;
  /** Of ours, in the old run only. */
  readonly gone: readonly string[];
}

/** Programs that are ours. */
const OURS = 'qlora';
/** How many times the spread of a contender's rounds counts as noise. */
const NOISE = 2;

/** What tells machines apart, in words; nothing if they are the same. */
export function machineDifferences(a: Machine, b: Machine): string[] {
  const fields = ['cpu', 'cores', 'platform', 'arch'] as const;
  return fields.filter((field) => a[field] !== b[field]).map((field) => `${field}: ${a[field]}, ${b[field]}`);
}

/** Compares the times of two runs. `tolerance` is the part of a time that may be added to it. */
export function compareResults(before: BenchResult, after: BenchResult, tolerance: number): Comparison {
  const changes: Change[] = [];
  const peers: number[] = [];
  const gone: string[] = [];
  const then = timesOf(before);
  const now = timesOf(after);
  for (const [key, { caseId, contender: old }] of then) {
    const found = now.get(key)?.contender;
    if (!found) {
      if (old.peer === OURS) gone.push(`${caseId} of ${old.id}`);
      continue;
    }
    const change = changeOf(caseId, old, found, tolerance);
    if (old.peer === OURS) changes.push(change);
    else peers.push(change.factor);
  }
  return { changes, machineFactor: peers.length > 0 ? median(peers) : undefined, gone };
}

function timesOf(result: BenchResult): Map<string, { caseId: string; contender: MeasuredContender }> {
  const entries = result.cases.flatMap(({ id, contenders }) =>
    contenders
      .filter(({ ms }) => ms.length > 0)
      .map((contender) => [`${id} ${contender.id}`, { caseId: id, contender }] as const),
  );
  return new Map(entries);
}

function changeOf(
  caseId: string,
  before: MeasuredContender,
  after: MeasuredContender,
  tolerance: number,
): Change {
  const [old, now] = [median(before.ms), median(after.ms)];
  const noise = NOISE * Math.hypot(relativeSpread(before.ms), relativeSpread(after.ms));
  const allowed = 1 + tolerance + noise;
  const factor = now / old;
  const verdict = factor > allowed ? 'slower' : factor < 1 / allowed ? 'faster' : 'as before';
  return { caseId, contender: before.id, before: old, after: now, factor, allowed, verdict };
}
