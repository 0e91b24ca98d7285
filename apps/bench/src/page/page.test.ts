import { describe, expect, it } from 'vitest';
import { benchResult, contender, measuredCase } from '../testing/results';
import { barPlot } from './bars';
import { renderPage } from './page';

const result = benchResult([
  measuredCase('matmul-forward/4096x4096/rows-16', [
    contender('qlora@1', [10, 11, 12]),
    contender('qlora@2', [5, 6, 7], { memory: { process: 2e9 } }),
    contender('jax-js@1', [20, 22, 24]),
    contender('bitsandbytes-fused@1', [], { problem: 'the processor <lacks> it' }),
  ]),
  {
    ...measuredCase('q8_0-encode/4096x4096', [contender('qlora@1', [3])]),
    group: 'codec',
    title: 'Encode, 4096',
  },
]);

describe('the page', () => {
  const page = renderPage(result);
  const inside = (text: string) => expect(page).toContain(text);

  it('needs nothing from elsewhere and runs no script', () => {
    expect(page).not.toMatch(/<script|<link|src=|href=|url\(|@import/);
  });
  it('shows rates, times and ratios with their baselines', () => {
    inside('90.9 GFLOP/s · 11.0 ms');
    inside('167 GFLOP/s · 6.00 ms · 1.83 ×');
    inside('45.5 GFLOP/s · 22.0 ms · 0.500 ×');
    inside('speed 0.500 × (0.500 … 0.500) that of qlora@1');
  });
  it('shows the marks of its cases', () => {
    inside('1.3 × jax-js@1');
    inside('2.00 × (2.00 … 2.00)');
  });
  it('says who failed and why, escaped', () => {
    inside('bitsandbytes-fused@1: the processor &lt;lacks&gt; it');
    expect(page).not.toContain('<lacks>');
  });
  it('names machine, versions, threads, and how absent peers are installed', () => {
    for (const text of ['Test CPU', '@qlora 0.0.0', 'avx2', 'abc1234', '1, 2', 'peers --install js'])
      inside(text);
  });
  it('puts what only ours entered for into one plot', () => {
    inside('<figcaption>Ours alone</figcaption>');
    inside('>Encode</text>');
  });
});

describe('bars', () => {
  const bar = {
    label: 'a',
    family: 'ours',
    median: 50,
    low: 40,
    high: 60,
    least: 30,
    most: 100,
    text: 't',
    hint: 'h',
  };
  it('are as long as their part of the largest extreme', () => {
    const [first, second] = barPlot([bar, { ...bar, median: 100 }], 'plot').matchAll(/width="([\d.]+)"/g);
    expect(2 * Number(first?.[1])).toBeCloseTo(Number(second?.[1]), 0);
  });
  it('of nothing are no error', () => {
    expect(barPlot([], 'empty')).toContain('<svg');
  });
});
