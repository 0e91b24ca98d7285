// How far one model's predictions are from another's, position by position over the same ids.

/** Logits of a window, one row of the vocabulary's length for each position. */
export type LogitRows = readonly Float32Array[];

/** Sums over positions; divide by `tokens`. */
export interface DistanceSums {
  tokens: number;
  /** Negative log likelihood of what follows, in nats. */
  loss: number;
  /** Kullback-Leibler divergence of the reference from this one, in nats. */
  divergence: number;
  /** Positions at which both hold the same id for the likeliest. */
  agreed: number;
}

/** Nothing yet. */
export const noSums = (): DistanceSums => ({ tokens: 0, loss: 0, divergence: 0, agreed: 0 });

/**
 * Adds a window's positions to the sums. Those whose target is negative count for nothing.
 * @throws RangeError if rows are missing or of another length than the reference's.
 */
export function addWindow(
  sums: DistanceSums,
  rows: LogitRows,
  target: ArrayLike<number>,
  reference: LogitRows,
): void {
  for (let position = 0; position < target.length; position++) {
    const id = target[position] ?? -1;
    if (id < 0) continue;
    const row = rows[position];
    const other = reference[position];
    if (!row || row.length !== other?.length || id >= row.length)
      throw new RangeError(`position ${position} has ${row?.length} logits, the reference ${other?.length}`);
    const ours = normalizer(row);
    const theirs = normalizer(other);
    let divergence = 0;
    for (let i = 0; i < row.length; i++) {
      const log = (other[i] ?? 0) - theirs.log;
      divergence += Math.exp(log) * (log - ((row[i] ?? 0) - ours.log));
    }
    sums.tokens++;
    sums.loss += ours.log - (row[id] ?? 0);
    sums.divergence += divergence;
    if (ours.likeliest === theirs.likeliest) sums.agreed++;
  }
}

/** The logarithm of the sum of exponentials, and where the largest is. */
function normalizer(row: Float32Array): { log: number; likeliest: number } {
  let likeliest = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] ?? 0) > (row[likeliest] ?? 0)) likeliest = i;
  const max = row[likeliest] ?? 0;
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - max);
  return { log: max + Math.log(sum), likeliest };
}
