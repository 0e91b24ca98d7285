// The table of errors in README.md is what is measured here, with the package's own error analysis and a seeded generator.
import { readFileSync } from 'node:fs';
import { type Random, random, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { compareSchemes, type Scheme } from './index';

const SHAPE = [512, 512];

/** A draw of each distribution. */
const draws: Record<string, (rng: Random) => number> = {
  normal: (rng) => rng.normal(),
  uniform: (rng) => 2 * rng.uniform() - 1,
  'heavy-tailed': (rng) => rng.normal() / Math.hypot(...Array.from({ length: 4 }, () => rng.normal() / 2)),
  exponential: (rng) => -Math.log(1 - rng.uniform()),
  'cut at 0': (rng) => Math.max(0, rng.normal()),
  lognormal: (rng) => Math.exp(rng.normal()),
  'mean 2': (rng) => 2 + rng.normal(),
};

const schemes: Scheme[] = [
  ...['nf4', 'fp4'].flatMap((scheme) => [
    { scheme },
    { scheme, doubleQuant: false },
    { scheme, strategy: 'zero-point' },
    { scheme, strategy: 'zero-point', doubleQuant: false },
  ]),
  { blockSize: 32, doubleQuant: false },
  { strategy: 'zero-point', blockSize: 128 },
  { strategy: 'per-channel', doubleQuant: false },
];

/** Errors in per cent of the variance: what part of what there is to know gets lost. */
function lines(): string[] {
  const columns = Object.entries(draws).map(([name, draw]) => {
    const rng = random(0).fork(name);
    const values = Float32Array.from({ length: 512 * 512 }, () => draw(rng));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    return compareSchemes(tensor('f32', SHAPE, values), schemes).map(({ figures, config }) => ({
      config,
      bits: figures.bitsPerValue,
      percent: (100 * figures.meanSquaredError) / variance,
    }));
  });
  const head = ['scheme', 'strategy', 'block', 'scales', 'bits', ...Object.keys(draws)];
  const rows = schemes.map((_, i) => {
    const { config, bits } = columns[0]![i]!;
    return [
      config.scheme,
      `\`${config.strategy}\``,
      config.strategy === 'per-channel' ? '512' : String(config.blockSize),
      config.doubleQuant ? '8-bit' : 'f32',
      bits.toFixed(2),
      ...columns.map((column) => column[i]!.percent.toFixed(2)),
    ];
  });
  return [head, head.map((_, i) => (i < 2 ? '---' : '---:')), ...rows].map((row) => `| ${row.join(' | ')} |`);
}

describe('README.md', () => {
  it('has the table of errors that is measured', () => {
    const text = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const [head, ...rest] = lines();
    const found = text.split('\n');
    expect(found).toContain(head);
    expect(found.slice(found.indexOf(head ?? '') + 1).slice(0, rest.length)).toEqual(rest);
  });
});
