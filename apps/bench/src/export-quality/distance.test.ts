import { expect, it } from 'vitest';
import { addWindow, noSums } from './distance';

const logs = (...shares: number[]) => Float32Array.from(shares, Math.log);

it('sums losses, divergence and agreement over the positions that count', () => {
  const rows = [logs(0.5, 0.25, 0.25), logs(0.1, 0.8, 0.1), logs(1, 1, 1)];
  const reference = [logs(0.25, 0.5, 0.25), logs(0.1, 0.8, 0.1), logs(9, 1, 1)];
  const sums = noSums();
  addWindow(sums, rows, [0, 1, -100], reference);
  expect(sums.tokens).toBe(2);
  expect(sums.loss).toBeCloseTo(-Math.log(0.5) - Math.log(0.8), 6);
  // 0.25 log(0.25 / 0.5) + 0.5 log(0.5 / 0.25) + 0
  expect(sums.divergence).toBeCloseTo(0.25 * Math.log(2), 6);
  expect(sums.agreed).toBe(1);
});

it('does not depend on a constant added to all logits', () => {
  const [one, two] = [noSums(), noSums()];
  const row = logs(0.2, 0.7, 0.1);
  addWindow(one, [row], [1], [row]);
  addWindow(two, [row.map((x) => x + 100)], [1], [row]);
  expect(one.divergence).toBeCloseTo(0, 12);
  expect(two.loss).toBeCloseTo(one.loss, 4);
  expect(two.divergence).toBeCloseTo(0, 4);
});

it('refuses another vocabulary', () => {
  expect(() => addWindow(noSums(), [logs(1, 1)], [0], [logs(1, 1, 1)])).toThrow(/2 logits, the reference 3/);
  expect(() => addWindow(noSums(), [], [0], [logs(1, 1, 1)])).toThrow(RangeError);
});
