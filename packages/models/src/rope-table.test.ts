// Rotary frequencies against their formulas and against transformers.
import { expect, it } from 'vitest';
import { inverseFrequencies, parseLlamaConfig, ropeTable } from './index';
import { tinyConfigJson } from './testing';

const plain = { headDim: 8, ropeTheta: 10000, ropeScaling: { type: 'default' } } as const;

it('pair i turns by theta to the power of −2i/d', () => {
  expect([...inverseFrequencies(plain)]).toEqual([1, 10000 ** -0.25, 10000 ** -0.5, 10000 ** -0.75]);
});

it('linear scaling divides every angle by the factor', () => {
  const scaled = inverseFrequencies({ ...plain, ropeScaling: { type: 'linear', factor: 4 } });
  expect([...scaled]).toEqual([...inverseFrequencies(plain)].map((f) => f / 4));
  // transformers 5.23, ROPE_INIT_FUNCTIONS['linear'] with these parameters.
  const expected = [0.25, 0.02500000037252903, 0.0024999999441206455, 0.0002500000118743628];
  expect([...scaled.map(Math.fround)]).toEqual(expected);
});

it("llama3 scaling gives transformers' frequencies: kept, blended and stretched ones", () => {
  const config = parseLlamaConfig({
    ...tinyConfigJson,
    head_dim: 128,
    rope_theta: 500000,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    },
  });
  // transformers 5.23, ROPE_INIT_FUNCTIONS['llama3'] with the parameters of Llama 3.1 8B, in f32.
  const expected: [number, number][] = [
    [0, 1],
    [1, 0.8146172165870667],
    [20, 0.016560440883040428],
    [28, 0.0032114461064338684],
    [29, 0.0021665706299245358],
    [30, 0.0013718936825171113],
    [31, 0.0008567514596506953],
    [32, 0.0005248460220173001],
    [33, 0.0003126936499029398],
    [34, 0.0001785077911335975],
    [35, 0.00009556212171446532],
    [36, 0.00007784655463183299],
    [40, 0.00003428102354519069],
    [63, 3.068925877869333e-7],
  ];
  const frequencies = inverseFrequencies(config);
  for (const [pair, value] of expected)
    expect(Math.abs((frequencies[pair] ?? 0) / value - 1)).toBeLessThan(2e-6);
  // All three kinds are there: the first is kept, the last is an eighth, some are neither.
  const unscaled = inverseFrequencies({ ...config, ropeScaling: { type: 'default' } });
  const ratios = [...frequencies].map((f, i) => f / (unscaled[i] ?? 1));
  expect([ratios[0], ratios[63]]).toEqual([1, 1 / 8]);
  expect(ratios.filter((ratio) => ratio < 1 && ratio > 1 / 8).length).toBeGreaterThan(3);
});

it('the table holds cosine and sine of position times frequency', () => {
  const { cos, sin } = ropeTable(plain, 50);
  expect([cos.length, sin.length]).toEqual([200, 200]);
  for (const [position, pair] of [
    [0, 0],
    [1, 0],
    [7, 1],
    [49, 3],
  ] as const) {
    const angle = position * 10000 ** (-pair / 4);
    expect(cos[position * 4 + pair]).toBe(Math.fround(Math.cos(angle)));
    expect(sin[position * 4 + pair]).toBe(Math.fround(Math.sin(angle)));
  }
});
