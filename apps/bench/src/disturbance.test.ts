import { expect, it } from 'vitest';
import { busyTicks, othersBetween, processTicks, watchOthers } from './disturbance';

it('reads what Linux counts', () => {
  expect(busyTicks('cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0')).toBe(171);
  // A name may hold spaces and brackets.
  expect(processTicks('42 (a (b) c) S 1 42 42 0 -1 4194304 10 0 0 0 123 45 0 0 20 0 7 0')).toBe(168);
});

it('gives the cores that others took', () => {
  const before = { at: 10, all: 100, own: 40 };
  expect(othersBetween(before, { at: 12, all: 104, own: 42 })).toBe(1);
  expect(othersBetween(before, { at: 12, all: 101.99, own: 42 })).toBe(0);
});

it('knows nothing of a process that is not there', () => {
  expect(watchOthers(undefined)()).toBeUndefined();
  expect(watchOthers(2 ** 30)()).toBeUndefined();
});
