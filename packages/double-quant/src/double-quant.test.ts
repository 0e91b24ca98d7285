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

it('a scale comes back within 0.0073 of the largest distance from the mean in its block', () => {
  const scales = fc.float32Array({ min: 0, max: 100, noNaN: true, minLength: 1, maxLength: 700 });
  fc.assert(
    fc.property(scales, (values) => {
      const quantized = doubleQuantize(values);
      const back = doubleDequantize(quantized);
      values.forEach((value, i) => {
        // Besides: roundings of the mean, and the smallest steps that f32 has.
        const bound =
          0.0073 * quantized.nestedAbsmax[Math.floor(i / 256)]! + 1e-6 * Math.abs(quantized.offset) + 1e-44;
        expect(Math.abs(value - back[i]!)).toBeLessThanOrEqual(bound);
      });
    }),
  );
});

it('no scales give none back', () => {
  expect(doubleDequantize(doubleQuantize(new Float32Array(0))).length).toBe(0);
});

it('scales that are not finite, and odd block sizes, are refused', () => {
  expect(() => doubleQuantize(Float32Array.of(1, Number.NaN))).toThrow(/not finite/);
  expect(() => doubleQuantize(Float32Array.of(1), { blockSize: 3 })).toThrow(QloraError);
});
