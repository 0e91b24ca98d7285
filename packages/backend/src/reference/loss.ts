// Cross entropy from logits, by rows, and the optimizer's step.
import { type AdamWStep, IGNORE_INDEX } from '../contract';
import type { FloatArray } from './memory';

/** losses[r] = logSumExp(logits[r]) − logits[r, target], 0 where the target is ignored. */
export function crossEntropy(
  logits: FloatArray,
  targets: Int32Array,
  columns: number,
  losses: FloatArray,
  logSumExp: FloatArray,
): void {
  for (let r = 0; r < targets.length; r++) {
    const row = r * columns;
    let max = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < columns; c++) if (logits[row + c]! > max) max = logits[row + c]!;
    let total = 0;
    for (let c = 0; c < columns; c++) total += Math.exp(logits[row + c]! - max);
    const lse = max + Math.log(total);
    logSumExp[r] = lse;
    const target = targets[r]!;
    losses[r] = target === IGNORE_INDEX ? 0 : lse - logits[row + target]!;
  }
}

/** logits ← scale · (softmax − onehot), zero in ignored rows. */
export function crossEntropyBackwardInto(
  logits: FloatArray,
  targets: Int32Array,
  columns: number,
  logSumExp: FloatArray,
  scale: number,
): void {
  for (let r = 0; r < targets.length; r++) {
    const target = targets[r]!;
    const row = r * columns;
    if (target === IGNORE_INDEX) {
      logits.fill(0, row, row + columns);
      continue;
    }
    const lse = logSumExp[r]!;
    for (let c = 0; c < columns; c++) logits[row + c] = scale * Math.exp(logits[row + c]! - lse);
    logits[row + target]! -= scale;
  }
}

/** AdamW with bias correction in the form of PyTorch's: decay first, epsilon outside the corrected root. */
export function adamw(
  parameter: FloatArray,
  gradient: FloatArray,
  m: FloatArray,
  v: FloatArray,
  step: AdamWStep,
): void {
  const { learningRate, beta1, beta2, epsilon, weightDecay, gradientScale } = step;
  const correction1 = 1 - beta1 ** step.step;
  const correction2 = Math.sqrt(1 - beta2 ** step.step);
  const decay = 1 - learningRate * weightDecay;
  for (let i = 0; i < parameter.length; i++) {
    const g = gradient[i]! * gradientScale;
    const first = beta1 * m[i]! + (1 - beta1) * g;
    const second = beta2 * v[i]! + (1 - beta2) * g * g;
    m[i] = first;
    v[i] = second;
    const denominator = Math.sqrt(second) / correction2 + epsilon;
    parameter[i] = parameter[i]! * decay - (learningRate * first) / (correction1 * denominator);
  }
}
