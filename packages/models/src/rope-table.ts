// Cosines and sines of rotary embedding (Su et al. 2021), with the scalings that Llama checkpoints use
// (transformers/modeling_rope_utils.py, version 5.23).
import type { LlamaConfig } from './config';

/** Angle per position of each pair of a head, in f64. */
export function inverseFrequencies(
  config: Pick<LlamaConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>,
): Float64Array {
  const { headDim, ropeTheta, ropeScaling: scaling } = config;
  const frequencies = Float64Array.from({ length: headDim / 2 }, (_, i) => ropeTheta ** ((-2 * i) / headDim));
  if (scaling.type === 'default') return frequencies;
  if (scaling.type === 'linear') return frequencies.map((f) => f / scaling.factor);
  // Llama 3.1: long wavelengths are stretched, short ones kept, those between blended.
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
  return frequencies.map((f) => {
    const turns = (originalContext * f) / (2 * Math.PI);
    if (turns < low) return f / factor;
    if (turns > high) return f;
    const smooth = (turns - low) / (high - low);
    return ((1 - smooth) * f) / factor + smooth * f;
  });
}

/** Tables [positions, headDim/2] of the positions from `start` on. */
export function ropeTable(
  config: Pick<LlamaConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>,
  positions: number,
  start = 0,
): { cos: Float32Array; sin: Float32Array } {
  const frequencies = inverseFrequencies(config);
  const half = frequencies.length;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = (start + position) * frequencies[i]!;
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}
