// What Python's `model_weight_count_rounded_notation` of llama.cpp v0.5.0 gives.
import { expect, it } from 'vitest';
import { sizeLabel } from './size-label';

it.each([
  [100, '0.10K'],
  [1500, '1.5K'],
  [9999, '10K'],
  [22_500, '22K'],
  [1_234_567, '1.2M'],
  [9_500_000, '10M'],
  [12_500_000, '12M'],
  [13_500_000, '14M'],
  [999_999_999, '1000M'],
  [1_250_000_000, '1.2B'],
  [1_350_000_000, '1.4B'],
  [10_500_000_000, '10B'],
])('%d parameters are %s', (parameters, label) => {
  expect(sizeLabel(parameters)).toBe(label);
});
