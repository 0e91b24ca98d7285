import type { ErrorFigures } from '@qlora/quant-strategies';
import { describe, expect, it } from 'vitest';
import { advice, kindsOf, type TensorRow, unbeatenSchemes, worstTensors } from './analysis';

/** Figures of 1000 values: bits a value, and decibels. */
const figures = (bitsPerValue: number, signalToNoise: number): ErrorFigures => ({
  ...{ values: 1000, bytes: (bitsPerValue * 1000) / 8, bitsPerValue, maxError: 1, signalToNoise },
  meanSquaredError: signalToNoise === Number.POSITIVE_INFINITY ? 0 : 10 ** (-signalToNoise / 10),
  relativeError: 10 ** (-signalToNoise / 20),
});

describe('the kind of a tensor', () => {
  it.each([
    [
      'the last part',
      ['model.layers.0.self_attn.q_proj.weight', 'model.layers.11.mlp.up_proj.weight'],
      ['q_proj', 'up_proj'],
    ],
    [
      'as much as tells it from others',
      ['h.0.attn.c_proj.weight', 'h.0.mlp.c_proj.weight', 'h.1.mlp.c_fc.weight'],
      ['attn.c_proj', 'mlp.c_proj', 'c_fc'],
    ],
    ['all of it, where it is the end of another', ['proj.weight', 'a.proj.weight'], ['proj', 'a.proj']],
    [
      'the same in every layer and expert',
      ['l.0.experts.3.w1.weight', 'l.2.experts.0.w1.weight'],
      ['w1', 'w1'],
    ],
    ['a name of numbers', ['0.weight', 'weight'], ['0.weight', 'weight']],
  ])('is %s', (_, names, kinds) => {
    expect(kindsOf(names)).toEqual(kinds);
  });
});

describe('schemes that no other beats', () => {
  it('have more signal than all that take as many bits or fewer', () => {
    const total = [figures(4.5, 20), figures(4.1, 20), figures(4, 18), figures(4, 19), figures(4.6, 21)];
    expect(unbeatenSchemes(total)).toEqual([3, 1, 4]);
  });
  it('are the first of equals', () => {
    expect(unbeatenSchemes([figures(4, 20), figures(4, 20)])).toEqual([0]);
  });
  it('are said as steps', () => {
    const total = [
      figures(4.5, 21),
      figures(4.125, 20.5),
      figures(4.5, 18),
      figures(5, Number.POSITIVE_INFINITY),
    ];
    expect(advice({ schemes: ['a', 'b', 'c', 'd'], total })).toBe(
      'unbeaten (no other has as much signal in as few bits): b, 20.50 dB at 4.13 bits; a, 0.50 dB more for 0.38 bits more; d, exact for 0.50 bits more',
    );
  });
});

it('the worst tensors are those with the least signal in the first scheme; exact ones come last', () => {
  const rows = [Number.POSITIVE_INFINITY, 3, Number.POSITIVE_INFINITY, 1, 2].map(
    (signal, i) =>
      ({ name: String(i), figures: [figures(4, signal), figures(4, -signal)] }) as unknown as TensorRow,
  );
  expect(worstTensors(rows, 4).map(({ name }) => name)).toEqual(['3', '4', '1', '0']);
});
