// Causal attention with grouped heads, one query row of one head at a time: scores of a row live in one small array,
// no S × S matrix exists. The backward makes the probabilities again from the kept log-sum-exp.
import type { AttentionShape } from '../contract';
import type { FloatArray } from './memory';

/** Calls `body` for every query row of every head with the offsets that it needs. */
function forEachQuery(
  shape: AttentionShape,
  body: (query: number, firstKey: number, keyStride: number, keys: number, statistic: number) => void,
): void {
  const { batch, queryLength, keyLength, heads, keyHeads, headDim } = shape;
  const group = heads / keyHeads;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const firstKey = (b * keyLength * keyHeads + Math.floor(h / group)) * headDim;
      for (let i = 0; i < queryLength; i++) {
        const row = (b * queryLength + i) * heads + h;
        // Queries are the last rows of their sequence: row i sees keys up to its own position.
        body(row * headDim, firstKey, keyHeads * headDim, keyLength - queryLength + i + 1, row);
      }
    }
  }
}

/** out = softmax(q · kᵀ · scale, causal) · v. */
export function attention(
  q: FloatArray,
  k: FloatArray,
  v: FloatArray,
  shape: AttentionShape,
  out: FloatArray,
  logSumExp: FloatArray,
): void {
  const { headDim, scale, keyLength } = shape;
  const weights = new Float64Array(keyLength);
  const sums = new Float64Array(headDim);
  forEachQuery(shape, (query, firstKey, stride, keys, statistic) => {
    let max = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < keys; j++) {
      const key = firstKey + j * stride;
      let score = 0;
      for (let d = 0; d < headDim; d++) score += q[query + d]! * k[key + d]!;
      score *= scale;
      weights[j] = score;
      if (score > max) max = score;
    }
    let total = 0;
    for (let j = 0; j < keys; j++) {
      const weight = Math.exp(weights[j]! - max);
      weights[j] = weight;
      total += weight;
    }
    sums.fill(0);
    for (let j = 0; j < keys; j++) {
      const value = firstKey + j * stride;
      const weight = weights[j]!;
      for (let d = 0; d < headDim; d++) sums[d]! += weight * v[value + d]!;
    }
    for (let d = 0; d < headDim; d++) out[query + d] = sums[d]! / total;
    logSumExp[statistic] = max + Math.log(total);
  });
}

/** Gradients of {@link attention}: dS = P ∘ (dO·vᵀ − Σ dO·O), dQ = dS·k, dK = dSᵀ·q, dV = Pᵀ·dO. */
export function attentionBackward(
  dOut: FloatArray,
  q: FloatArray,
  k: FloatArray,
  v: FloatArray,
  out: FloatArray,
  logSumExp: FloatArray,
  shape: AttentionShape,
  dQ: FloatArray,
  dK: FloatArray,
  dV: FloatArray,
): void {
  const { headDim, scale } = shape;
  const sums = new Float64Array(headDim);
  forEachQuery(shape, (query, firstKey, stride, keys, statistic) => {
    let delta = 0;
    for (let d = 0; d < headDim; d++) delta += dOut[query + d]! * out[query + d]!;
    sums.fill(0);
    const lse = logSumExp[statistic]!;
    for (let j = 0; j < keys; j++) {
      const key = firstKey + j * stride;
      let score = 0;
      let dWeight = 0;
      for (let d = 0; d < headDim; d++) {
        score += q[query + d]! * k[key + d]!;
        dWeight += dOut[query + d]! * v[key + d]!;
      }
      const weight = Math.exp(score * scale - lse);
      const dScore = weight * (dWeight - delta) * scale;
      for (let d = 0; d < headDim; d++) {
        sums[d]! += dScore * k[key + d]!;
        dK[key + d]! += dScore * q[query + d]!;
        dV[key + d]! += weight * dOut[query + d]!;
      }
    }
    for (let d = 0; d < headDim; d++) dQ[query + d] = sums[d]!;
  });
}
