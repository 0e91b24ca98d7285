// The kit finds what is wrong: codecs and strategies that break the contract in one place each, and the case that says so.
import { codebookCodec, NF4_CODEBOOK, nf4 } from '@qlora/nf4';
import { QloraError } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { blockwise, type Codec, perChannel, type QuantStrategy, zeroPoint } from '../index';
import { type ConformanceCase, codebookBound, codecCases, strategyCases } from './index';

/** Names of the cases that fail, of those whose name is like `only`, and what they say. */
async function failures(cases: readonly ConformanceCase[], only = /./): Promise<Map<string, string>> {
  const failed = new Map<string, string>();
  for (const { name, run } of cases.filter(({ name }) => only.test(name))) {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof QloraError)) throw error;
      failed.set(name, error.message);
    }
  }
  return failed;
}

/** A codec without the fast way, so that what is broken is what runs. */
const plain: Codec = {
  name: 'plain',
  bitsPerValue: 4,
  codebook: NF4_CODEBOOK,
  absmax: nf4.absmax,
  encode: nf4.encode,
  decode: nf4.decode,
};

describe('a codec that', () => {
  const broken: [string, Partial<Codec>, RegExp][] = [
    ['has no name', { name: '' }, /has a name/],
    ['has 15 values', { codebook: NF4_CODEBOOK.subarray(1) }, /codebook of 16/],
    ['has a value of 1.5', { codebook: NF4_CODEBOOK.map((x) => (x === 1 ? 1.5 : x)) }, /codebook of 16/],
    ['has five bits', { bitsPerValue: 5 }, /codebook of 16/],
    [
      'scales by the sum',
      { absmax: (values, size) => nf4.absmax(values, size).map((x) => 2 * x) },
      /largest magnitude/,
    ],
    [
      'forgets the scale of a short block',
      { absmax: (values, size) => nf4.absmax(values, size).subarray(0, Math.floor(values.length / size)) },
      /largest magnitude/,
    ],
    [
      'rounds down',
      {
        encode: (values, scales, size) => {
          const codes = nf4.encode(values, scales, size);
          return codes.map((byte) => (byte & 15 ? byte - 1 : byte));
        },
      },
      /nearest entry/,
    ],
    [
      'puts the first value in the low nibble',
      {
        encode: (values, scales, size) => nf4.encode(values, scales, size).map(swap),
        decode: (codes, scales, size, count) => nf4.decode(codes.map(swap), scales, size, count),
      },
      /high nibble/,
    ],
    [
      'pads with code 0',
      {
        encode: (values, scales, size) => {
          const codes = nf4.encode(values, scales, size);
          if (values.length % 2 === 1) codes[codes.length - 1]! &= 0xf0;
          return codes;
        },
      },
      /pads an odd count/,
    ],
    [
      'reads the scale of the first block for all',
      {
        encode: (values, scales, size) => nf4.encode(values, scales.slice().fill(scales[0] ?? 0), size),
      },
      /same codes in any company/,
    ],
    [
      'normalizes in place',
      {
        absmax: (values, size) => {
          const scales = nf4.absmax(values, size);
          values.forEach((value, i) => {
            values[i] = value * 0.5;
          });
          return scales;
        },
      },
      /leaves what it is given alone/,
    ],
    [
      'reads the buffer from its start',
      { absmax: (values, size) => nf4.absmax(new Float32Array(values.buffer, 0, values.length), size) },
      /views that begin anywhere/,
    ],
    [
      'decodes what is not there',
      {
        decode: (codes, scales, size, count) => {
          const [room, more] = [new Uint8Array(count + codes.length), new Float32Array(count + 1)];
          room.set(codes);
          more.set(scales.subarray(0, count));
          return nf4.decode(room, more, size, count);
        },
      },
      /too few codes or scales/,
    ],
    [
      'takes half precision for integers',
      {
        quantize: (source, size) =>
          nf4.quantize(
            { ...source, dtype: 'f32', data: Float32Array.from(source.data as Uint16Array) },
            size,
          ),
      },
      /all float types/,
    ],
    [
      'hides NaN',
      {
        quantize(source, size) {
          const quantized = nf4.quantize(source as never, size);
          return quantized && { ...quantized, absmax: quantized.absmax.map((x) => x || 0) };
        },
      },
      /NaN or infinity/,
    ],
  ];
  it.each(broken)('%s is found', async (_what, change, name) => {
    expect((await failures(codecCases({ ...plain, ...change }), name)).size).toBe(1);
  });

  it('keeps the contract passes, whatever its codebook', async () => {
    const books = [
      Float32Array.from({ length: 16 }, (_, i) => 1 - (2 * i) / 15),
      Float32Array.from({ length: 16 }, (_, i) => (i < 8 ? -(2 ** -i) : 2 ** (i - 15))),
    ];
    for (const book of books)
      expect(await failures(codecCases(codebookCodec('book', book)))).toEqual(new Map());
    expect(await failures(codecCases(plain))).toEqual(new Map());
  });
});

describe('a strategy that', () => {
  const broken: [string, QuantStrategy, RegExp][] = [
    [
      'has scales that are too small',
      scaled(blockwise, (scale) => 0.2 * scale),
      /come back within half the widest gap/,
    ],
    [
      'has scales that are too large',
      scaled(blockwise, (scale) => 3 * scale),
      /come back within half the widest gap/,
    ],
    [
      'keeps the shape flat',
      changed(blockwise, (quantized) => ({
        ...quantized,
        shape: [quantized.shape.reduce((a, b) => a * b, 1)],
      })),
      /says what it is/,
    ],
    [
      'has another name inside',
      changed(blockwise, (quantized) => ({ ...quantized, strategy: 'other' })),
      /says what it is/,
    ],
    [
      'adds a field',
      changed(blockwise, (quantized) => ({ ...quantized, mean: 1 }) as never),
      /says what it is/,
    ],
    [
      'never quantizes scales',
      {
        ...blockwise,
        quantize: (tensor, codec, options) =>
          blockwise.quantize(tensor, codec, { ...options, doubleQuant: false }),
      },
      /says what it is/,
    ],
    [
      'calls all tensors f32',
      changed(blockwise, (quantized) => ({ ...quantized, dtype: 'f32' })),
      /all float types/,
    ],
    ['counts its calls', counting(), /same bytes/],
    [
      'takes NaN for zero',
      {
        ...blockwise,
        quantize: (tensor, codec, options) =>
          blockwise.quantize(
            tensor.dtype === 'f32'
              ? { ...tensor, data: (tensor.data as Float32Array).map((x) => x || 0) }
              : tensor,
            codec,
            options,
          ),
      },
      /NaN and infinity/,
    ],
    [
      'forgets the name',
      {
        ...blockwise,
        quantize: (tensor, codec, { name: _, ...options } = {}) => blockwise.quantize(tensor, codec, options),
      },
      /NaN and infinity/,
    ],
    [
      'forgets where a part begins',
      {
        ...blockwise,
        quantize: (tensor, codec, { start: _, ...options } = {}) =>
          blockwise.quantize(tensor, codec, options),
      },
      /NaN and infinity/,
    ],
    [
      'takes integers',
      {
        ...blockwise,
        quantize: (tensor, codec, options) =>
          blockwise.quantize(
            tensor.dtype === 'i32' ? { ...tensor, dtype: 'f32', data: new Float32Array(64) } : tensor,
            codec,
            options,
          ),
      },
      /integers/,
    ],
    [
      'checks no sizes',
      {
        ...blockwise,
        dequantize: (quantized, codec) => {
          const { codes, shape, scales, blockSize } = quantized;
          const count = shape.reduce((a, b) => a * b, 1);
          const values = scales.kind === 'plain' ? scales.values : new Float32Array(count).fill(1);
          return codec.decode(codes, values, blockSize, count);
        },
      },
      /do not fit the shape/,
    ],
    ['remembers what a copy does not have', remembering(), /a copy, and one of JSON and bytes/],
    ['has a unit that ends inside a block', { ...blockwise, unit: () => 8 }, /whole units/],
    ['has a unit of none', { ...blockwise, unit: () => 0 }, /whole units/],
    ['has a unit that is no row', { ...perChannel, unit: () => 5 }, /whole units/],
    ['cuts nothing', { ...zeroPoint, unit: () => undefined }, /whole units/],
    [
      'looks at its neighbours',
      {
        ...blockwise,
        quantize: (tensor, codec, options) =>
          scaled(blockwise, (scale) => (tensor.data.length > 64 ? scale : 0.99 * scale)).quantize(
            tensor,
            codec,
            options,
          ),
      },
      /whole units/,
    ],
  ];
  it.each(broken)('%s is found', async (_what, strategy, name) => {
    expect((await failures(strategyCases(strategy, { codecs: [nf4] }), name)).size).toBeGreaterThan(0);
  });

  it('comes back from a store with a scale less is found', async () => {
    const store = (quantized: Parameters<QuantStrategy['dequantize']>[0]) => ({
      ...quantized,
      scales: { kind: 'plain' as const, values: new Float32Array(1) },
    });
    const failed = [...(await failures(strategyCases(blockwise, { codecs: [nf4], store }))).keys()];
    expect(failed.every((name) => /stored and comes back/.test(name)) && failed.length === 2).toBe(true);
  });

  it('cannot be cut has one case less', () => {
    const { unit: _, ...whole } = blockwise;
    expect(strategyCases(blockwise).length - strategyCases(whole).length).toBe(4);
  });
});

describe('the bound', () => {
  it('is half the widest gap, or what is left at an end', () => {
    expect(codebookBound(NF4_CODEBOOK)).toBeCloseTo((1 - 0.6961928) / 2, 6);
    expect(codebookBound(Float32Array.of(-0.5, 0, 1))).toBe(0.5);
    expect(codebookBound(Float32Array.of(-1, 0.2, 0.3))).toBeCloseTo(0.7, 6);
  });
});

function swap(byte: number): number {
  return (byte >> 4) | ((byte & 15) << 4);
}

function changed(
  strategy: QuantStrategy,
  change: (quantized: ReturnType<QuantStrategy['quantize']>) => ReturnType<QuantStrategy['quantize']>,
): QuantStrategy {
  return {
    ...strategy,
    quantize: (tensor, codec, options) => change(strategy.quantize(tensor, codec, options)),
  };
}

/** Scales changed, and codes left as they were. */
function scaled(strategy: QuantStrategy, change: (scale: number) => number): QuantStrategy {
  return changed(strategy, (quantized) =>
    quantized.scales.kind === 'plain'
      ? { ...quantized, scales: { kind: 'plain', values: quantized.scales.values.map(change) } }
      : quantized,
  );
}

function counting(): QuantStrategy {
  let calls = 0;
  return scaled(blockwise, (scale) => scale * (1 + (calls++ % 2) * 1e-3));
}

/** Decodes only what it made itself. */
function remembering(): QuantStrategy {
  const values = new WeakMap<object, Float32Array>();
  return {
    ...blockwise,
    quantize(tensor, codec, options) {
      const quantized = blockwise.quantize(tensor, codec, options);
      values.set(quantized, blockwise.dequantize(quantized, codec));
      return quantized;
    },
    dequantize(quantized, codec) {
      return values.get(quantized) ?? blockwise.dequantize(quantized, codec).map((x) => x + 1);
    },
  };
}
