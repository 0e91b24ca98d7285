// Choosing the next token from logits: greedy, or at a temperature from the smallest set of tokens whose probability
// reaches top-p (Holtzman et al. 2020).
import { QloraError, type Random } from '@qlora/tensor';

/** How tokens are chosen. */
export interface SamplingOptions {
  /** 0 takes the likeliest token always; 1 samples as the model says. Default 0. */
  readonly temperature?: number;
  /** Keep only the likeliest tokens that together reach this probability. Default 1. */
  readonly topP?: number;
}

/** The index of the largest logit, the first of equal ones. */
export function greedy(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/**
 * The id of the next token.
 * @throws QloraError for a temperature below 0 or a top-p outside (0, 1].
 */
export function sample(logits: Float32Array, options: SamplingOptions, rng: Random): number {
  const { temperature = 0, topP = 1 } = options;
  if (!(temperature >= 0))
    throw new QloraError({ what: `temperature is ${temperature}`, fix: 'use 0 or more' });
  if (!(topP > 0 && topP <= 1))
    throw new QloraError({ what: `top-p is ${topP}`, fix: 'use a number above 0, up to 1' });
  const best = greedy(logits);
  if (temperature === 0) return best;
  const max = logits[best]!;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - max) / temperature));
  const order = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let kept = 0;
  let count = 0;
  while (count < order.length && kept < topP * total) kept += weights[order[count++]!]!;
  let point = rng.uniform() * kept;
  for (let i = 0; i < count; i++) {
    point -= weights[order[i]!]!;
    if (point < 0) return order[i]!;
  }
  return order[0]!;
}
