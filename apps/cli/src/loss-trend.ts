// How a run went in two numbers. The loss of one step is that of a few sequences, and jumps about.
import type { StepMetrics } from '@qlora/trainer';

/** Mean losses of the first and the last tenth of the steps, in nats, and how many steps those are. */
export interface LossTrend {
  readonly first: number;
  readonly last: number;
  readonly over: number;
}

/** The trend of a run of at least one step. */
export function lossTrend(steps: readonly StepMetrics[]): LossTrend {
  const over = Math.max(1, Math.round(steps.length / 10));
  const mean = (some: readonly StepMetrics[]) => some.reduce((sum, { loss }) => sum + loss, 0) / some.length;
  return { first: mean(steps.slice(0, over)), last: mean(steps.slice(-over)), over };
}

/** The trend for people: `5.504 → 2.063 (means of 6 steps)`. */
export function describeTrend({ first, last, over }: LossTrend): string {
  return `${first.toFixed(3)} → ${last.toFixed(3)}${over > 1 ? ` (means of ${over} steps)` : ''}`;
}
