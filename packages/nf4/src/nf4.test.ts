// The codec against real bitsandbytes (goldens/bitsandbytes.json, made by tooling/conformance/bitsandbytes) and against
// its own definition.
import {
  bf16ArrayToF32,
  f16ArrayToF32,
  f32ArrayToBf16,
  f32ArrayToF16,
  fromFloat32,
  QloraError,
  tensor,
} from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import goldens from './goldens/bitsandbytes.json';
import {
  dequantizeFp4,
  dequantizeNf4,
  type FloatDType,
  FP4_CODEBOOK,
  fp4,
  NF4_CODEBOOK,
  nf4,
  quantizeFp4,
  quantizeNf4,
} from './index';

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
const floats = (text: string) => new Float32Array(bytes(text).buffer);
const halves = (text: string) => new Uint16Array(bytes(text).buffer);
/** Bit patterns, so that NaN equals NaN and −0 differs from 0. */
const bits = (values: Float32Array) => [...new Uint32Array(values.buffer, values.byteOffset, values.length)];
const schemes = {
  nf4: { codec: nf4, quantize: quantizeNf4, dequantize: dequantizeNf4 },
  fp4: { codec: fp4, quantize: quantizeFp4, dequantize: dequantizeFp4 },
};

describe('bytes are those of bitsandbytes', () => {
  for (const golden of goldens.cases) {
    const { codec, quantize, dequantize } = schemes[golden.scheme as 'nf4' | 'fp4'];
    const { blockSize } = golden;
    const dtype = golden.dtype as FloatDType;
    const data = dtype === 'f32' ? floats(golden.values) : halves(golden.values);
    it(`${golden.scheme}, blocks of ${blockSize}: ${golden.name}`, () => {
      const { codes, absmax } = quantize({ dtype, data }, { blockSize });
      expect(bits(absmax.map(canonicalNaN))).toEqual(bits(floats(golden.absmax).map(canonicalNaN)));
      expect([...codes]).toEqual([...bytes(golden.codes)]);
      if (dtype === 'f32') {
        const values = data as Float32Array;
        expect(codec.absmax(values, blockSize)).toEqual(absmax);
        expect(codec.encode(values, absmax, blockSize)).toEqual(codes);
      }
      const quantized = { codes, absmax };
      // FP4's code 8 is −0 in bitsandbytes' scalar CPU kernel and 0 in its codebook; adding 0 makes both 0.
      const plain = (values: Float32Array) => bits(values.map((value) => canonicalNaN(value) + 0));
      const back = dequantize(quantized, data.length, { blockSize });
      expect(plain(back)).toEqual(plain(floats(golden.decoded.f32)));
      for (const [type, infinity] of [
        ['f16', 0x7c00],
        ['bf16', 0x7f80],
      ] as const) {
        const plainHalf = (half: number) =>
          (half & 0x7fff) > infinity ? 0x7fff : half === 0x8000 ? 0 : half;
        const found = dequantize(quantized, data.length, { blockSize, dtype: type });
        expect([...found].map(plainHalf)).toEqual([...halves(golden.decoded[type])].map(plainHalf));
      }
    });
  }
});

const canonicalNaN = (value: number) => (Number.isNaN(value) ? Number.NaN : value);

describe('values come in and go out', () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i));

  it('as a Float32Array, or as a tensor of any shape and float type', () => {
    const wanted = quantizeNf4(values);
    expect(quantizeNf4(tensor('f32', [10, 100], values))).toEqual(wanted);
    expect(quantizeNf4(tensor('f64', [1000], Float64Array.from(values)))).toEqual(wanted);
    const rounded = quantizeNf4(f16ArrayToF32(f32ArrayToF16(values)));
    expect(quantizeNf4(fromFloat32('f16', [4, 250], values))).toEqual(rounded);
    expect(quantizeNf4({ dtype: 'f16', data: f32ArrayToF16(values) })).toEqual(rounded);
    expect(quantizeNf4({ dtype: 'f16', data: f32ArrayToF16(values.subarray(0, 9)) })).toEqual(
      quantizeNf4(f16ArrayToF32(f32ArrayToF16(values.subarray(0, 9)))),
    );
  });

  it('in f32 unless f16 or bf16 are asked for', () => {
    const quantized = quantizeFp4(values);
    const f32: Float32Array = dequantizeFp4(quantized, 1000);
    const bf16: Uint16Array = dequantizeFp4(quantized, 1000, { dtype: 'bf16' });
    expect(dequantizeFp4(quantized, 1000, { dtype: 'f32' })).toEqual(f32);
    expect(bf16).toEqual(f32ArrayToBf16(f32));
    expect(dequantizeFp4(quantized, 9, { dtype: 'f16' })).toEqual(f32ArrayToF16(f32.subarray(0, 9)));
  });

  it('in nothing else', () => {
    const list = [1, 2] as unknown as Float32Array;
    expect(() => quantizeNf4(list)).toThrow(QloraError);
    expect(() => quantizeNf4(new Float64Array(2) as unknown as Float32Array)).toThrow(
      'f32 values in a Float64Array',
    );
    expect(() => quantizeNf4({ dtype: 'bf16', data: values })).toThrow('bf16 values in a Float32Array');
    expect(() => quantizeNf4({ dtype: 'i32', data: new Int32Array(2) })).toThrow('values of type i32');
    const dtype = 'i8' as 'f16';
    expect(() => dequantizeNf4(quantizeNf4(values), 1000, { dtype })).toThrow('cannot decode to i8');
  });

  it('as a codec that was made of another one decodes them', () => {
    const doubled = { ...nf4, decode: () => Float32Array.of(2, 4) };
    const { codes, absmax } = quantizeNf4(Float32Array.of(1, 2));
    expect([...doubled.decodeAs('bf16', codes, absmax, 64, 2)]).toEqual([0x4000, 0x4080]);
    expect([...doubled.decodeAs('f32', codes, absmax, 64, 2)]).toEqual([2, 4]);
    expect([...nf4.decodeAs('bf16', codes, absmax, 64, 2)]).toEqual([
      ...f32ArrayToBf16(nf4.decode(codes, absmax, 64, 2)),
    ]);
  });
});

describe('a decoded value is never further off than is said', () => {
  const blockSize = fc.constantFrom(32, 64, 128, 4096);
  const values = (largestExponent: number) =>
    fc
      .tuple(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { maxLength: 300 }),
        fc.integer({ min: -140, max: largestExponent }),
      )
      .map(([list, exponent]) => Float32Array.from(list, (value) => value * 2 ** exponent));
  const widen = { f32: (list: Float32Array) => list, f16: f16ArrayToF32, bf16: bf16ArrayToF32 };
  for (const [scheme, gap] of [
    ['nf4', 0.152],
    ['fp4', 0.167],
  ] as const) {
    for (const { dtype, largestExponent, relative, absolute } of [
      { dtype: 'f32', largestExponent: 127, relative: 0, absolute: 0 },
      { dtype: 'f16', largestExponent: 15, relative: 2 ** -11, absolute: 2 ** -25 },
      { dtype: 'bf16', largestExponent: 126, relative: 2 ** -8, absolute: 2 ** -134 },
    ] as const) {
      it(`${scheme} to ${dtype}: ${gap} of the absmax${relative ? ', and a rounding' : ''}`, () => {
        const { quantize, dequantize } = schemes[scheme];
        fc.assert(
          fc.property(values(largestExponent), blockSize, (list, size) => {
            const quantized = quantize(list, { blockSize: size });
            const decoded = dequantize(quantized, list.length, { blockSize: size, dtype });
            const back = widen[dtype](decoded as Float32Array & Uint16Array);
            list.forEach((value, i) => {
              const absmax = quantized.absmax[Math.floor(i / size)]!;
              if (absmax < 1e-38) return;
              expect(Math.abs(value - back[i]!)).toBeLessThanOrEqual((gap + relative) * absmax + absolute);
            });
          }),
        );
      });
    }
  }
});

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
