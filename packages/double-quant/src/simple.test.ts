// The crate's double quantization against the crate (goldens/qlora-rs.json, made by tooling/conformance/qlora-rs), and the
// bound that its documentation states.
import { QloraError } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import goldens from './goldens/qlora-rs.json';
import { simpleDoubleDequantize, simpleDoubleQuantize } from './index';

describe('codes, factors and scales are those of qlora-rs', () => {
  for (const { name, scales, codes, factors, restored } of goldens.cases) {
    it(name, () => {
      const quantized = simpleDoubleQuantize(Float32Array.from(scales));
      expect([...quantized.codes]).toEqual(codes);
      expect(quantized.factors).toEqual(Float32Array.from(factors));
      // Adding 0 makes -0 (the code 0, or a step of 0) 0.
      const plain = (values: Iterable<number>) => Float32Array.from(values, (value) => value + 0);
      expect(plain(simpleDoubleDequantize(quantized))).toEqual(plain(restored));
    });
  }
});

const lists = fc
  .tuple(
    fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { maxLength: 300 }),
    fc.integer({ min: -119, max: 127 }),
  )
  .map(([list, exponent]) => Float32Array.from(list, (value) => value * 2 ** exponent));

it('a scale comes back within 0.0079 of the largest of its block, and not larger but for roundings', () => {
  fc.assert(
    fc.property(lists, fc.constantFrom(undefined, 1, 7, 64, 256), (values, size) => {
      const blockSize = size ?? Math.max(1, values.length);
      const quantized = simpleDoubleQuantize(values, size === undefined ? {} : { blockSize: size });
      expect(quantized.blockSize).toBe(blockSize);
      expect(quantized.factors.length).toBe(Math.ceil(values.length / blockSize));
      const back = simpleDoubleDequantize(quantized);
      for (let start = 0; start < values.length; start += blockSize) {
        const block = values.subarray(start, start + blockSize);
        const largest = block.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
        if (largest > 0 && largest < 1.5e-36) continue;
        block.forEach((value, i) => {
          const lost = value - back[start + i]!;
          expect(lost).toBeLessThanOrEqual(0.0079 * largest);
          expect(lost).toBeGreaterThanOrEqual(-1e-6 * largest);
        });
      }
    }),
    { numRuns: 300 },
  );
});

it('zeros come back as zeros', () => {
  const quantized = simpleDoubleQuantize(new Float32Array(9), { blockSize: 4 });
  expect([...quantized.factors]).toEqual([1, 1, 1]);
  expect([...simpleDoubleDequantize(quantized)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

it('no scales give none back', () => {
  const quantized = simpleDoubleQuantize(new Float32Array(0));
  expect(quantized).toEqual({ codes: new Uint8Array(0), factors: new Float32Array(0), blockSize: 1 });
  expect(simpleDoubleDequantize(quantized).length).toBe(0);
});

it('scales that are not finite, odd block sizes and too few factors are refused', () => {
  expect(() => simpleDoubleQuantize(Float32Array.of(1, Number.NaN))).toThrow(/scale 1 is NaN/);
  expect(() => simpleDoubleQuantize(Float32Array.of(-Infinity))).toThrow(QloraError);
  for (const blockSize of [0, -1, 1.5, Number.NaN]) {
    expect(() => simpleDoubleQuantize(Float32Array.of(1), { blockSize })).toThrow(/no positive integer/);
  }
  const quantized = simpleDoubleQuantize(new Float32Array(9), { blockSize: 4 });
  const few = { ...quantized, factors: quantized.factors.subarray(1) };
  expect(() => simpleDoubleDequantize(few)).toThrow(/2 factors for 9 codes in blocks of 4. 3 are needed/);
});
