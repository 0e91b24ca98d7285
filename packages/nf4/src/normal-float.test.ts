// The derivation of NF4 held to its constants, to bitsandbytes' create_normal_map and to quantiles of 60 digits
// (goldens/normal-float.json, made by tooling/conformance/bitsandbytes), and to what it means.
import { QloraError } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import goldens from './goldens/normal-float.json';
import { codebookCodec, deriveNormalFloat, NF4_CODEBOOK, normalQuantile } from './index';

/** How likely a standard normal variable stays below x: φ(x) · (x + x³/3 + x⁵/(3·5) + …) + ½ (Marsaglia 2004). */
function normalCdf(x: number): number {
  let term = x;
  let sum = x;
  for (let i = 3; Math.abs(term) > 1e-18; i += 2) {
    term *= (x * x) / i;
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

describe('quantiles of the normal distribution', () => {
  it('have a relative error below 1e-15, over 300 orders of magnitude', () => {
    for (const [p, quantile] of goldens.quantiles as [number, number][]) {
      expect(Math.abs(normalQuantile(p) / quantile - 1), `p = ${p}`).toBeLessThan(1e-15);
    }
  });

  it('undo the distribution function', () => {
    for (let i = 1; i < 1000; i++) {
      expect(Math.abs(normalCdf(normalQuantile(i / 1000)) - i / 1000)).toBeLessThan(1e-15);
    }
  });

  it('are odd around one half, and infinite at the ends', () => {
    for (const p of [2 ** -2, 2 ** -10, 2 ** -40]) expect(normalQuantile(p)).toBe(-normalQuantile(1 - p));
    expect([0, 0.5, 1].map(normalQuantile)).toEqual([-Infinity, 0, Infinity]);
  });

  it('are refused for what is no probability', () => {
    for (const p of [-1e-300, 1.5, Number.NaN]) expect(() => normalQuantile(p)).toThrow(QloraError);
  });
});

describe('the derivation of normal floats', () => {
  it('gives the constants of NF4, bit for bit', () => {
    expect(deriveNormalFloat()).toEqual(NF4_CODEBOOK);
  });

  it('gives what bitsandbytes gives for other offsets', () => {
    for (const { offset, values } of goldens.maps) {
      expect(deriveNormalFloat({ offset }), `offset ${offset}`).toEqual(Float32Array.from(values));
    }
  });

  it('splits each side of the distribution into even steps of probability', () => {
    const offset = 0.97;
    const values = deriveNormalFloat({ offset });
    const share = (value: number) => normalCdf(value * normalQuantile(offset));
    values.forEach((value, i) => {
      const steps = i < 7 ? (7 - i) / 7 : (i - 7) / 8;
      const expected = 0.5 + (offset - 0.5) * steps * (i < 7 ? -1 : 1);
      expect(share(value)).toBeCloseTo(expected, 6);
    });
  });

  it('makes a codebook that a codec takes', () => {
    const codec = codebookCodec('wide', deriveNormalFloat({ offset: 0.99 }));
    const values = codec.codebook.map((value) => 3 * value);
    const absmax = codec.absmax(values, 32);
    expect(codec.decode(codec.encode(values, absmax, 32), absmax, 32, 16)).toEqual(values);
  });

  it('refuses offsets that are not between one half and one', () => {
    for (const offset of [0.5, 1, 0.1, 0.99999999, Number.NaN]) {
      expect(() => deriveNormalFloat({ offset })).toThrow(/not between 0.5 and 1/);
    }
  });
});
