import { describe, expect, it } from 'vitest';
import { compareResults, machineDifferences } from './compare';
import { benchResult, contender, measuredCase } from './testing/results';

const run = (ours: number[], peer?: number[]) =>
  benchResult([
    measuredCase('layer/8x8', [contender('qlora@1', ours), ...(peer ? [contender('jax-js@1', peer)] : [])]),
  ]);

describe('a time', () => {
  const verdict = (before: number[], after: number[], tolerance = 0.1) =>
    compareResults(run(before), run(after), tolerance).changes[0]?.verdict;

  it('that grew by more than the tolerance is slower', () => {
    expect(verdict([100, 100, 100], [112, 112, 112])).toBe('slower');
    expect(verdict([100, 100, 100], [108, 108, 108])).toBe('as before');
    expect(verdict([100, 100, 100], [112, 112, 112], 0.2)).toBe('as before');
  });
  it('that shrank by more is faster', () => {
    expect(verdict([112, 112, 112], [100, 100, 100])).toBe('faster');
  });
  it('may differ by the noise of both runs too', () => {
    expect(verdict([90, 100, 110], [102, 112, 122])).toBe('as before');
    expect(verdict([90, 100, 110], [152, 162, 172])).toBe('slower');
  });
});

it('peers tell what the machine did, and are not judged', () => {
  const { changes, machineFactor } = compareResults(run([100], [50]), run([130], [65]), 0.1);
  expect(changes.map(({ contender: id }) => id)).toEqual(['qlora@1']);
  expect(machineFactor).toBe(1.3);
  expect(compareResults(run([1]), run([1]), 0.1).machineFactor).toBeUndefined();
});

it('what is gone is named', () => {
  expect(compareResults(run([100]), benchResult([]), 0.1).gone).toEqual(['layer/8x8 of qlora@1']);
});

it('machines differ by processor, cores and system', () => {
  const { machine } = benchResult([]);
  expect(machineDifferences(machine, { ...machine, node: '24.0.0' })).toEqual([]);
  expect(machineDifferences(machine, { ...machine, cores: 8 })).toEqual(['cores: 2, 8']);
});
