// Double quantization against real bitsandbytes (goldens/bitsandbytes.json, made by tooling/conformance/bitsandbytes).
import { QloraError } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import goldens from './goldens/bitsandbytes.json';
import { createDynamicMap, doubleDequantize, doubleQuantize } from './index';

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
const floats = (text: string) => new Float32Array(bytes(text).buffer);

it('the dynamic map is that of bitsandbytes, bit for bit', () => {
  expect([...createDynamicMap()]).toEqual([...floats(goldens.map)]);
});

describe('codes, nested scales and offset are those of bitsandbytes', () => {
  for (const golden of goldens.cases) {
    it(golden.name, () => {
      const quantized = doubleQuantize(floats(golden.scales));
      expect(quantized.offset).toBe(golden.offset);
      expect([...quantized.codes]).toEqual([...bytes(golden.codes)]);
      expect([...quantized.nestedAbsmax]).toEqual([...floats(golden.nestedAbsmax)]);
      expect([...doubleDequantize(quantized)]).toEqual([...floats(golden.restored)]);
    });
  }
});

it('a scale comes back within 0.00705 of the largest distance from the mean in its block, and a rounding', () => {
  const lists = fc
    .tuple(
      fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 700 }),
      fc.integer({ min: -110, max: 120 }),
      fc.double({ min: -8, max: 8, noNaN: true }),
    )
    .map(([list, exponent, mean]) => Float32Array.from(list, (value) => (value + mean) * 2 ** exponent));
  const blockSize = fc.constantFrom(1, 8, 16, 64, 256, 1024, 4096);
  fc.assert(
    fc.property(lists, blockSize, (values, size) => {
      const quantized = doubleQuantize(values, { blockSize: size });
      const back = doubleDequantize(quantized);
      values.forEach((value, i) => {
        const distance = quantized.nestedAbsmax[Math.floor(i / size)]!;
        if (distance > 0 && distance < 2 ** -126) return;
        const bound = 0.00705 * distance + 2 ** -24 * Math.abs(back[i]!);
        expect(Math.abs(value - back[i]!)).toBeLessThanOrEqual(bound);
      });
    }),
    { numRuns: 300 },
  );
});

it('no scales give none back', () => {
  expect(doubleDequantize(doubleQuantize(new Float32Array(0))).length).toBe(0);
});

it('scales that are not finite, and odd block sizes, are refused', () => {
  expect(() => doubleQuantize(Float32Array.of(1, Number.NaN))).toThrow(/not finite/);
  expect(() => doubleQuantize(Float32Array.of(1), { blockSize: 3 })).toThrow(QloraError);
});
