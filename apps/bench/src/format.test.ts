import { expect, it } from 'vitest';
import { bytes, digits, duration, rate, time } from './format';
import { timeLeft } from './progress';

it('numbers have three digits', () => {
  expect([0, 0.01234, 0.75, 1.5, 12.34, 1234].map(digits)).toEqual([
    '0',
    '0.0123',
    '0.750',
    '1.50',
    '12.3',
    '1234',
  ]);
});
it('times and rates have a fitting unit', () => {
  expect([0.1234, 12, 3210].map(time)).toEqual(['123 µs', '12.0 ms', '3.21 s']);
  expect(rate(67108864, 10, 'bytes of f32')).toBe('6.71 GB/s');
  expect(rate(512, 1000, 'tokens')).toBe('512 tokens/s');
  expect([900, 2.5e6, 2.5e9].map(bytes)).toEqual(['0.900 KB', '2.50 MB', '2.50 GB']);
  expect([59, 61, 3700].map(duration)).toEqual(['59 s', '1 min 1 s', '1 h 1 min']);
});
it('time left is what was guessed for the rest, corrected by what was done', () => {
  // A third of the work took twice as long as guessed.
  expect(timeLeft([10, 20], 1, 0, 20)).toBe(40);
  expect(timeLeft([10, 20], 0, 0, 0)).toBe(30);
});
