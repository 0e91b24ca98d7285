// The project's one source of randomness: a seeded generator whose bytes are the same on every machine. Initial
// adapter weights, data order and sampling draw from it, so that a seed names a whole run.
//
// Source: xoshiro128** 1.1 by Blackman and Vigna (https://prng.di.unimi.it/), seeded through splitmix32.

/** A seeded stream of random numbers. */
export interface Random {
  /** The next 32 random bits, unsigned. */
  nextUint32(): number;
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** Standard normal (Box and Muller). */
  normal(): number;
  /** Uniform integer in [0, bound), without bias. */
  integer(bound: number): number;
  /** A new independent stream named by `label`; it does not advance this one. */
  fork(label: string): Random;
  /** The state, to resume from. */
  state(): readonly number[];
}

/**
 * A generator for a seed (any number; its integer part modulo 2^32 counts) or for a saved {@link Random.state}.
 * @example const rng = random(42); rng.uniform();
 */
export function random(seed: number | readonly number[]): Random {
  const s = new Uint32Array(4);
  if (typeof seed === 'number') {
    let x = Math.trunc(seed) >>> 0;
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) >>> 0;
      let z = x;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      s[i] = z ^ (z >>> 16);
    }
  } else s.set(seed.slice(0, 4));
  const rotate = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  const rng: Random = {
    nextUint32() {
      const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0;
      const t = s[1]! << 9;
      s[2]! ^= s[0]!;
      s[3]! ^= s[1]!;
      s[1]! ^= s[2]!;
      s[0]! ^= s[3]!;
      s[2]! ^= t;
      s[3] = rotate(s[3]!, 11);
      return result;
    },
    uniform() {
      const high = rng.nextUint32() >>> 5;
      const low = rng.nextUint32() >>> 6;
      return (high * 67108864 + low) / 9007199254740992;
    },
    normal() {
      const radius = Math.sqrt(-2 * Math.log(1 - rng.uniform()));
      return radius * Math.cos(2 * Math.PI * rng.uniform());
    },
    integer(bound) {
      const limit = Math.floor(4294967296 / bound) * bound;
      for (;;) {
        const bits = rng.nextUint32();
        if (bits < limit) return bits % bound;
      }
    },
    fork(label) {
      // FNV-1a over the label, mixed with the state.
      let hash = 0x811c9dc5;
      for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
      return random((hash ^ s[0]! ^ rotate(s[1]!, 8) ^ rotate(s[2]!, 16) ^ rotate(s[3]!, 24)) >>> 0);
    },
    state: () => [...s],
  };
  return rng;
}

/** A random order of 0 … count-1 (Fisher and Yates). */
export function permutation(count: number, rng: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = rng.integer(i + 1);
    const swap = order[i]!;
    order[i] = order[j]!;
    order[j] = swap;
  }
  return order;
}
