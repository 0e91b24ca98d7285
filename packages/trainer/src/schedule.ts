// Learning rate over the steps, as transformers' schedulers have it (transformers/optimization.py): linear warm-up from
// 0, then constant, linear to 0, or half a cosine to 0.
import { QloraError } from '@qlora/tensor';

/** Names of the schedules. */
export const SCHEDULES = ['linear', 'cosine', 'constant'] as const;

/** What follows the warm-up. */
export type Schedule = (typeof SCHEDULES)[number];

/**
 * The factor of the learning rate at a step.
 *
 * @param step steps taken before this one, from 0.
 * @param total steps of the whole run.
 * @param warmup steps of warm-up.
 */
export function scheduleFactor(schedule: Schedule, step: number, total: number, warmup: number): number {
  if (step < warmup) return step / Math.max(1, warmup);
  const progress = (step - warmup) / Math.max(1, total - warmup);
  switch (schedule) {
    case 'constant':
      return 1;
    case 'linear':
      return Math.max(0, 1 - progress);
    case 'cosine':
      return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
    default:
      throw new QloraError({
        what: `no schedule named "${schedule}"`,
        fix: `known: ${SCHEDULES.join(', ')}`,
      });
  }
}
