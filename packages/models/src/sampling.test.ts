// Which token comes next.
import { random } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { greedy, sample } from './index';

const logits = Float32Array.from([0.2, 0.5, 0.2, 0.1].map(Math.log));
/** How often each token is drawn in 20000 draws, as a share. */
const shares = (options: Parameters<typeof sample>[1], from = logits) => {
  const rng = random(5);
  const counts = new Array<number>(from.length).fill(0);
  for (let i = 0; i < 20000; i++) {
    const id = sample(from, options, rng);
    counts[id] = (counts[id] ?? 0) + 1 / 20000;
  }
  return counts;
};
const expectShares = (found: number[], expected: number[]) => {
  found.forEach((share, i) => {
    expect(Math.abs(share - (expected[i] ?? 0))).toBeLessThan(expected[i] === 0 ? 1e-12 : 0.02);
  });
};

it('greedy takes the largest logit, the first of equal ones', () => {
  expect(greedy(Float32Array.of(-3, 2, 2, -1))).toBe(1);
  expect(greedy(Float32Array.of(-3, -2))).toBe(1);
});

describe('sampling', () => {
  it('at temperature 0 is greedy, whatever the seed', () => {
    for (let seed = 0; seed < 20; seed++) expect(sample(logits, { temperature: 0 }, random(seed))).toBe(1);
  });
  it('at temperature 1 follows the probabilities', () => {
    expectShares(shares({ temperature: 1 }), [0.2, 0.5, 0.2, 0.1]);
  });
  it('at temperature t follows p to the power of 1/t', () => {
    const powers = [0.2, 0.5, 0.2, 0.1].map((p) => p ** 2);
    const total = powers.reduce((a, b) => a + b);
    expectShares(
      shares({ temperature: 0.5 }),
      powers.map((p) => p / total),
    );
  });
  it('with top-p keeps the smallest set of the likeliest that reaches it', () => {
    expectShares(shares({ temperature: 1, topP: 0.5 }), [0, 1, 0, 0]);
    expectShares(shares({ temperature: 1, topP: 0.6 }), [2 / 7, 5 / 7, 0, 0]);
    expectShares(shares({ temperature: 1, topP: 0.85 }), [2 / 9, 5 / 9, 2 / 9, 0]);
    expectShares(shares({ temperature: 1, topP: 1e-9 }), [0, 1, 0, 0]);
  });
  it('bears logits that are far apart', () => {
    expectShares(shares({ temperature: 1 }, Float32Array.of(1e30, -1e30, 0)), [1, 0, 0]);
  });
  it('refuses what is out of range', () => {
    expect(() => sample(logits, { temperature: -1 }, random(0))).toThrow(/temperature is -1/);
    expect(() => sample(logits, { temperature: Number.NaN }, random(0))).toThrow(/temperature is NaN/);
    expect(() => sample(logits, { temperature: 1, topP: 0 }, random(0))).toThrow(/top-p is 0/);
    expect(() => sample(logits, { temperature: 1, topP: 1.1 }, random(0))).toThrow(/top-p is 1\.1/);
  });
});
