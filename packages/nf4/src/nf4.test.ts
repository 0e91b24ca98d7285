// The codec against real bitsandbytes (goldens/bitsandbytes.json, made by tooling/conformance/bitsandbytes) and against
// its own definition.
import { QloraError } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import goldens from './goldens/bitsandbytes.json';
import { dequantizeNf4, FP4_CODEBOOK, fp4, NF4_CODEBOOK, nf4, quantizeFp4, quantizeNf4 } from './index';

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
const floats = (text: string) => new Float32Array(bytes(text).buffer);
/** Bit patterns, so that NaN equals NaN and −0 differs from 0. */
const bits = (values: Float32Array) => [...new Uint32Array(values.buffer, values.byteOffset, values.length)];
const codecs = { nf4, fp4 };

describe('bytes are those of bitsandbytes', () => {
  for (const golden of goldens.cases) {
    const codec = codecs[golden.scheme as 'nf4' | 'fp4'];
    const { blockSize } = golden;
    const values = floats(golden.values);
    it(`${golden.scheme}, blocks of ${blockSize}: ${golden.name}`, () => {
      const absmax = codec.absmax(values, blockSize);
      const codes = codec.encode(values, absmax, blockSize);
      expect(bits(absmax.map(canonicalNaN))).toEqual(bits(floats(golden.absmax).map(canonicalNaN)));
      expect([...codes]).toEqual([...bytes(golden.codes)]);
      const back = codec.decode(codes, absmax, blockSize, values.length);
      // FP4's code 8 is −0 in bitsandbytes' CPU kernel and 0 in its codebook; adding 0 makes both 0.
      const plain = (values: Float32Array) => bits(values.map((value) => canonicalNaN(value) + 0));
      expect(plain(back)).toEqual(plain(floats(golden.dequantized)));
    });
  }
});

const canonicalNaN = (value: number) => (Number.isNaN(value) ? Number.NaN : value);

describe('NF4', () => {
  it('puts the first value in the high nibble', () => {
    expect([...quantizeNf4(Float32Array.of(-1, 1)).codes]).toEqual([0x0f]);
  });

  it('has 16 ascending values from -1 to 1 with an exact zero', () => {
    expect(NF4_CODEBOOK[0]).toBe(-1);
    expect(NF4_CODEBOOK[7]).toBe(0);
    expect(NF4_CODEBOOK[15]).toBe(1);
    expect([...NF4_CODEBOOK].sort((a, b) => a - b)).toEqual([...NF4_CODEBOOK]);
  });

  it('gives every codebook value back exactly', () => {
    const values = NF4_CODEBOOK.map((value) => value * 3);
    expect([...dequantizeNf4(quantizeNf4(values), values.length)]).toEqual([...values]);
  });

  it('takes no values and gives none', () => {
    const quantized = quantizeNf4(new Float32Array(0));
    expect(quantized.codes.length).toBe(0);
    expect(dequantizeNf4(quantized, 0).length).toBe(0);
  });

  it('is never further from a value than half the widest gap times the absmax', () => {
    const finite = fc.float32Array({
      noNaN: true,
      noDefaultInfinity: true,
      min: -1e6,
      max: 1e6,
      maxLength: 300,
    });
    fc.assert(
      fc.property(finite, fc.constantFrom(32, 64, 128), (values, blockSize) => {
        const quantized = quantizeNf4(values, { blockSize });
        const back = dequantizeNf4(quantized, values.length, { blockSize });
        values.forEach((value, i) => {
          const absmax = quantized.absmax[Math.floor(i / blockSize)]!;
          // The widest gap is from -1 to -0.696; a few units of rounding on top.
          expect(Math.abs(value - back[i]!)).toBeLessThanOrEqual(absmax * 0.15191 + 1e-38);
        });
      }),
    );
  });

  it('refuses block sizes that bitsandbytes does not know, and too few codes', () => {
    for (const blockSize of [0, 16, 63, 8192, 64.5, Number.NaN]) {
      expect(() => quantizeNf4(new Float32Array(4), { blockSize })).toThrow(QloraError);
    }
    expect(() => dequantizeNf4(quantizeNf4(new Float32Array(4)), 100)).toThrow(/50 and 2 are needed/);
  });
});

describe('FP4', () => {
  it('is a sign, two exponent bits and one fraction bit over 12', () => {
    expect([...FP4_CODEBOOK].map((value) => Math.round(value * 12 * 16) / 16)).toEqual([
      0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3,
    ]);
  });

  it('gives 1 and -1 the codes 3 and 11', () => {
    expect([...quantizeFp4(Float32Array.of(1, -1)).codes]).toEqual([0x3b]);
  });
});
