// Learning-rate schedules against their formulas.
import { expect, it } from 'vitest';
import { SCHEDULES, scheduleFactor } from './index';

const over = (schedule: (typeof SCHEDULES)[number], total: number, warmup: number) =>
  Array.from({ length: total }, (_, step) => scheduleFactor(schedule, step, total, warmup));

it.each([...SCHEDULES])('%s warms up in a straight line from 0', (schedule) => {
  expect(over(schedule, 20, 5).slice(0, 6)).toEqual([0, 1 / 5, 2 / 5, 3 / 5, 4 / 5, 1]);
});

it('constant stays', () => {
  expect(over('constant', 8, 0)).toEqual(new Array(8).fill(1));
});

it('linear goes to 0 in a straight line after the warm-up', () => {
  expect(over('linear', 8, 0)).toEqual([1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]);
  over('linear', 20, 4)
    .slice(4)
    .forEach((factor, i) => {
      expect(factor).toBeCloseTo((16 - i) / 16, 12);
    });
  expect(scheduleFactor('linear', 20, 20, 4)).toBe(0);
  expect(scheduleFactor('linear', 25, 20, 4)).toBe(0);
});

it('cosine goes to 0 along half a cosine after the warm-up', () => {
  over('cosine', 20, 4)
    .slice(4)
    .forEach((factor, i) => {
      expect(factor).toBeCloseTo(Math.cos((Math.PI * i) / 32) ** 2, 12);
    });
  expect(scheduleFactor('cosine', 12, 20, 4)).toBeCloseTo(0.5, 12);
  expect(scheduleFactor('cosine', 20, 20, 4)).toBe(0);
});

it('a warm-up that is longer than the run goes on to its end', () => {
  expect(over('cosine', 4, 8)).toEqual([0, 1 / 8, 2 / 8, 3 / 8]);
});

it('another name is refused', () => {
  expect(() => scheduleFactor('step' as never, 0, 1, 0)).toThrow(
    /no schedule named "step"\. Known: linear, cosine, constant/,
  );
});
