// Elementwise kernels.
import type { FloatArray } from './memory';

/** SwiGLU: silu(gate) · up with silu(x) = x · σ(x). */
export function swiglu(gate: FloatArray, up: FloatArray, out: FloatArray): void {
  for (let i = 0; i < out.length; i++) {
    const g = gate[i]!;
    out[i] = (g / (1 + Math.exp(-g))) * up[i]!;
  }
}

/** silu′(g) = σ(g) · (1 + g · (1 − σ(g))). */
export function swigluBackward(
  dy: FloatArray,
  gate: FloatArray,
  up: FloatArray,
  dGate: FloatArray,
  dUp: FloatArray,
): void {
  for (let i = 0; i < dy.length; i++) {
    const g = gate[i]!;
    const sigmoid = 1 / (1 + Math.exp(-g));
    dGate[i] = dy[i]! * up[i]! * sigmoid * (1 + g * (1 - sigmoid));
    dUp[i] = dy[i]! * g * sigmoid;
  }
}

/**
 * Dropout with a mask that is a pure function of seed and index (a 32-bit finalizer, so no state and no order): the
 * same call on the gradient is the backward, and nothing needs to be kept.
 */
export function dropout(x: FloatArray, p: number, seed: number, out: FloatArray): void {
  const threshold = p * 4294967296;
  const factor = 1 / (1 - p);
  for (let i = 0; i < x.length; i++) out[i] = hash(i, seed) < threshold ? 0 : x[i]! * factor;
}

// The 32-bit finalizer of MurmurHash3 (Appleby, public domain) over index and seed.
function hash(index: number, seed: number): number {
  let h = Math.imul(index + 1, 0x9e3779b1) ^ seed;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
