import { describe, expect, it } from 'vitest';
import { casesOf } from './cases';
import { evaluateMarks } from './marks';
import { benchResult, contender, measuredCase } from './testing/results';

const quantize = (ours: number[], rest: [string, number[]][]) =>
  benchResult([
    measuredCase('quantize/4096x4096', [
      contender('qlora@1', ours),
      ...rest.map(([id, ms]) => contender(id, ms)),
    ]),
  ]);

describe('a mark', () => {
  it('is met where the ratio of medians reaches it', () => {
    const [least, aim] = evaluateMarks(
      quantize(
        [10, 10, 10],
        [
          ['bitsandbytes@1', [60, 50, 70]],
          ['copy@1', [7, 7, 7]],
        ],
      ),
    );
    expect(least).toMatchObject({ kind: 'least', target: '5 × bitsandbytes@1', state: 'met', missing: '' });
    expect(least?.measured).toBe('6.00 × (5.50 … 6.50)');
    expect(aim).toMatchObject({ kind: 'aim', state: 'missed', missing: 'needs 1.07 × its speed' });
  });

  it('is not measured where a contender is absent', () => {
    const marks = evaluateMarks(quantize([10], []));
    expect(marks.map(({ state }) => state)).toEqual(['not measured', 'not measured']);
    expect(marks[0]?.measured).toBe('bitsandbytes@1 was not measured');
  });

  it('is neither met nor missed where other programs took cores away', () => {
    const disturbed = benchResult([
      measuredCase('quantize/4096x4096', [
        contender('qlora@1', [10], { others: 0.02 }),
        contender('bitsandbytes@1', [50], { others: 0.9 }),
        contender('copy@1', [5], { others: 0 }),
      ]),
    ]);
    expect(evaluateMarks(disturbed).map(({ state }) => state)).toEqual(['disturbed', 'missed']);
  });

  it('of memory looks at the peak of the process', () => {
    const trained = (peak: number | null) =>
      benchResult([
        measuredCase('training/smollm2-135m/1x512/checkpointing', [
          contender('qlora@2', [1000], { memory: peak === null ? null : { process: peak } }),
        ]),
      ]);
    expect(evaluateMarks(trained(2.4e9))[0]).toMatchObject({ state: 'met', measured: '2.40 GB' });
    expect(evaluateMarks(trained(3e9))[0]).toMatchObject({ state: 'missed', missing: '500 MB too much' });
    expect(evaluateMarks(trained(null))[0]?.state).toBe('not measured');
  });
});

it('a run of other sizes has no marks', () => {
  expect(
    evaluateMarks(benchResult([measuredCase('quantize/1024x1024', [contender('qlora@1', [1])])])),
  ).toEqual([]);
});

it('every mark names a case of the suite', () => {
  const cases = casesOf('marks').map(({ id }) => measuredCase(id, []));
  const all = evaluateMarks(benchResult(cases));
  expect(all.length).toBeGreaterThan(40);
  // A case that does not exist would give no mark; the goals of each kind are all there.
  const count = (part: string) => all.filter(({ what }) => what.includes(part)).length;
  expect(['quantize', 'x · Wᵀ', 'dy · W', 'over one', 'layer', 'training'].map(count)).toEqual([
    5, 15, 15, 8, 4, 3,
  ]);
});
