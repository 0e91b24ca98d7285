// Medians and their spread. Nothing here assumes a distribution: times on a shared machine have a long tail.

/** What a list of numbers looks like. */
export interface Summary {
  readonly median: number;
  /** A quarter of the numbers is below. */
  readonly low: number;
  /** A quarter of the numbers is above. */
  readonly high: number;
  readonly least: number;
  readonly most: number;
  readonly count: number;
}

/** The number below which a part of a list lies, between neighbours linearly (R's type 7, numpy's default). */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) throw new Error('there is no quantile of no numbers');
  return below + (above - below) * (place - Math.floor(place));
}

/** The number in the middle. */
export const median = (values: readonly number[]) => quantile(values, 0.5);

/** Median, quartiles, extremes. */
export function summary(values: readonly number[]): Summary {
  return {
    median: median(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    least: quantile(values, 0),
    most: quantile(values, 1),
    count: values.length,
  };
}

/** How much faster one is than another, with what the rounds say of it. */
export interface Ratio {
  /** Ratio of the medians. */
  readonly value: number;
  /** Quartiles of the ratios round by round: what the machine did to both in a round cancels. */
  readonly low: number;
  readonly high: number;
}

/**
 * How many times as fast `times` are as `others`: 2 where they take half as long. Both have a time of each round, in the
 * order of rounds; rounds that only one of them has are left out of the spread.
 */
export function speedRatio(times: readonly number[], others: readonly number[]): Ratio {
  const rounds = Math.min(times.length, others.length);
  const ratios = Array.from({ length: rounds }, (_, round) => (others[round] ?? 0) / (times[round] ?? 1));
  return {
    value: median(others) / median(times),
    low: quantile(ratios, 0.25),
    high: quantile(ratios, 0.75),
  };
}

/** Half the distance between quartiles, as a part of the median. */
export function relativeSpread(values: readonly number[]): number {
  const { median: middle, low, high } = summary(values);
  return middle === 0 ? 0 : (high - low) / 2 / middle;
}
