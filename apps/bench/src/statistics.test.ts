import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, quantile, relativeSpread, speedRatio, summary } from './statistics';

const numbers = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 });

describe('quantiles', () => {
  it('lie between neighbours linearly, as numpy has them', () => {
    // numpy.quantile([1, 2, 4, 8], [0.25, 0.5, 0.75])
    expect([0.25, 0.5, 0.75].map((part) => quantile([8, 1, 4, 2], part))).toEqual([1.75, 3, 5]);
  });
  it('leave the list as it was', () => {
    const list = [3, 1, 2];
    expect(median(list)).toBe(2);
    expect(list).toEqual([3, 1, 2]);
  });
  it('of no numbers do not exist', () => {
    expect(() => median([])).toThrow(/no numbers/);
  });
  it('are in order for any list', () => {
    fc.assert(
      fc.property(numbers, (list) => {
        const { least, low, median: middle, high, most, count } = summary(list);
        expect([least, low, middle, high, most]).toEqual(
          [least, low, middle, high, most].sort((a, b) => a - b),
        );
        expect([least, most, count]).toEqual([Math.min(...list), Math.max(...list), list.length]);
      }),
    );
  });
});

describe('ratios of speed', () => {
  it('are above 1 for whoever takes less time', () => {
    expect(speedRatio([10, 10, 10], [30, 30, 30])).toEqual({ value: 3, low: 3, high: 3 });
  });
  it('have no spread where a slow round was slow for both', () => {
    const { low, high } = speedRatio([10, 20, 10, 50], [20, 40, 20, 100]);
    expect([low, high]).toEqual([2, 2]);
  });
  it('use the rounds that both have', () => {
    expect(speedRatio([10, 10], [20, 20, 999]).high).toBe(2);
  });
});

it('the relative spread is half the distance of the quartiles over the median', () => {
  expect(relativeSpread([8, 9, 10, 11, 12])).toBeCloseTo(0.1);
  expect(relativeSpread([0, 0])).toBe(0);
});
