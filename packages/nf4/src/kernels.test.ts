// The codec with kernels held to its arithmetic in plain TypeScript (codebook-reference.ts), byte for byte, on values that are
// easy to get wrong: ties, NaN with payloads, infinities, denormals, scales from 1e-45 to 3e38, block and window ends.
import { absmaxBlocks } from '@qlora/kernels';
import { f32ToBf16, f32ToF16, fromFloat32, tensor, toFloat32 } from '@qlora/tensor';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { referenceAbsmax, referenceDecode, referenceEncode, searchOf } from './codebook-reference';
import { type CodebookCodec, codebookCodec, FP4_CODEBOOK, NF4_CODEBOOK } from './index';

const BLOCK_SIZES = [32, 64, 128, 256, 512, 1024, 2048, 4096];

/** Quantizes and dequantizes in plain TypeScript. */
function plain(codebook: Float32Array, values: Float32Array, blockSize: number, given?: Float32Array) {
  const absmax = new Float32Array(Math.ceil(values.length / blockSize));
  referenceAbsmax(values, blockSize, absmax);
  const scales = given ?? absmax;
  const codes = new Uint8Array(Math.ceil(values.length / 2));
  referenceEncode(searchOf(codebook), values, scales, blockSize, codes);
  const decoded = new Float32Array(values.length);
  referenceDecode(codebook, codes, scales, blockSize, decoded);
  return { absmax, codes, decoded };
}

type Values = Float32Array | Uint8Array | Uint16Array;

function expectSame(actual: Values, expected: Values, what: string) {
  const bytes = (a: Values) => Buffer.from(a.buffer, a.byteOffset, a.byteLength);
  if (bytes(actual).equals(bytes(expected))) return;
  const words = (a: Values) => (a instanceof Float32Array ? new Uint32Array(a.slice().buffer) : a);
  const [was, is] = [words(expected), words(actual)];
  const i = was.findIndex((word, at) => word !== is[at]);
  expect(`${what} ${i} of ${is.length}: ${is[i]}`).toBe(`${what} ${i} of ${was.length}: ${was[i]}`);
}

/** JavaScript leaves the bits of a computed NaN open. */
const oneNaN = (values: Float32Array) => values.map((value) => (Number.isNaN(value) ? Number.NaN : value));

function expectSameAsPlain(codebook: Float32Array, values: Float32Array, blockSize: number) {
  const codec = codebookCodec('test', codebook);
  const wanted = plain(codebook, values, blockSize);
  const absmax = codec.absmax(values, blockSize);
  expectSame(absmax, wanted.absmax, 'absmax');
  expectSame(codec.encode(values, absmax, blockSize), wanted.codes, 'code');
  const decoded = codec.decode(wanted.codes, wanted.absmax, blockSize, values.length);
  expectSame(oneNaN(decoded), oneNaN(wanted.decoded), 'value');
  expectHalvesSameAsPlain(codec, wanted, blockSize);
  const once = codec.quantize(tensor('f32', [values.length], values), blockSize);
  expectSame(once!.absmax, wanted.absmax, 'absmax at once');
  expectSame(once!.codes, wanted.codes, 'code at once');
}

/** Values rounded to 16 bits on their way are those that were decoded to f32 and then rounded. */
function expectHalvesSameAsPlain(codec: CodebookCodec, wanted: ReturnType<typeof plain>, blockSize: number) {
  const { codes, absmax, decoded } = wanted;
  for (const dtype of ['f16', 'bf16'] as const) {
    const infinity = dtype === 'f16' ? 0x7c00 : 0x7f80;
    const same = (bits: Uint16Array) => bits.map((half) => ((half & 0x7fff) > infinity ? 0x7fff : half));
    const rounded = dtype === 'f16' ? plainF32ToF16(decoded) : plainF32ToBf16(decoded);
    const found = codec.decodeAs(dtype, codes, absmax, blockSize, decoded.length);
    expectSame(same(found), same(rounded), dtype);
  }
}

// One value at a time, the functions that the kernels are held to in @qlora/tensor.
const plainF32ToF16 = (values: Float32Array) => Uint16Array.from(values, f32ToF16);
const plainF32ToBf16 = (values: Float32Array) => Uint16Array.from(values, f32ToBf16);

const floats = new Float32Array(1);
const words = new Uint32Array(floats.buffer);
/** The f32 number `steps` after (or before) another. */
function neighbour(value: number, steps: number): number {
  floats[0] = value;
  words[0] = words[0]! + steps;
  return floats[0]!;
}

const blockSize = fc.constantFrom(...BLOCK_SIZES);
const length = fc.oneof(fc.nat(400), fc.nat(9000));
/** Codebooks: the two of bitsandbytes, any, with doubles, and with values outside of [-1, 1]. */
const codebook = fc.oneof(
  fc.constantFrom(NF4_CODEBOOK, FP4_CODEBOOK),
  fc.float32Array({ minLength: 16, maxLength: 16, min: -1, max: 1, noNaN: true }),
  fc
    .array(fc.integer({ min: -5, max: 5 }), { minLength: 16, maxLength: 16 })
    .map((list) => Float32Array.from(list, (n) => n / 4)),
);

/** `count` values of a rule that gets a random number from 0 to 1, the index, and another random number. */
const values = (rule: (random: number, index: number, other: number) => number) =>
  fc.tuple(length, fc.nat(2 ** 31)).map(([count, seed]) => {
    let state = seed;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    return Float32Array.from({ length: count }, (_, i) => rule(next(), i, next()));
  });

const specials = [0, -0, Number.NaN, Infinity, -Infinity, 1e-45, -1e-45, 1e-38, 3.4e38, -3.4e38, 1, -1];

describe('the kernels give the bytes of plain TypeScript', () => {
  it('and are there', () => {
    expect(absmaxBlocks(new Float32Array(64), 64, new Float32Array(1))).toBe(true);
  });

  it('for any bits: NaN with payloads, infinities, denormals', () => {
    const anyBits = values((random) => {
      words[0] = random * 2 ** 32;
      return floats[0]!;
    });
    const withPayloads = fc
      .uint32Array({ maxLength: 600 })
      .map((bits) => new Float32Array(bits.slice().buffer));
    fc.assert(fc.property(codebook, fc.oneof(anyBits, withPayloads), blockSize, expectSameAsPlain));
  });

  it('for weights of any size, from denormal to where the reciprocal is', () => {
    const weights = fc
      .tuple(
        values((a, _, b) => a + b - 1),
        fc.integer({ min: -45, max: 38 }),
      )
      .map(([list, exponent]) => list.map((value) => value * 10 ** exponent));
    fc.assert(fc.property(codebook, weights, blockSize, expectSameAsPlain), { numRuns: 200 });
  });

  it('for values on the midpoints of entries, and next to them', () => {
    const ties = fc.tuple(codebook, blockSize, fc.nat(2 ** 31)).chain(([book, size, seed]) => {
      const { bounds } = searchOf(book);
      const tie = (random: number, i: number, other: number) =>
        (i + seed) % size === 0 ? 1 : neighbour(bounds[Math.floor(random * 15)]!, Math.floor(other * 5) - 2);
      return fc.tuple(fc.constant(book), values(tie), fc.constant(size));
    });
    fc.assert(
      fc.property(ties, (arguments_) => expectSameAsPlain(...arguments_)),
      { numRuns: 200 },
    );
  });

  it('for each midpoint of NF4 and FP4 and ten neighbours on both sides', () => {
    for (const book of [NF4_CODEBOOK, FP4_CODEBOOK]) {
      const near = [...searchOf(book).bounds].flatMap((bound) =>
        Array.from({ length: 21 }, (_, i) => neighbour(bound, i - 10)),
      );
      const list = new Float32Array(64 * near.length).fill(0.3);
      near.forEach((value, i) => {
        list[64 * i] = i % 2 ? 1 : -1;
        list[64 * i + 1 + (i % 63)] = value;
      });
      expectSameAsPlain(book, list, 64);
    }
  });

  it('for blocks of one value, and zeros of both signs', () => {
    const constant = values((random, i) =>
      random < 0.001 ? -0 : specials[Math.floor(i / 128) % specials.length]!,
    );
    fc.assert(fc.property(codebook, constant, blockSize, expectSameAsPlain));
  });

  it('for weights with something special here and there', () => {
    const mixed = values((a, _, b) => (a < 0.003 ? specials[Math.floor(b * specials.length)]! : a + b - 1));
    fc.assert(fc.property(codebook, mixed, blockSize, expectSameAsPlain));
  });

  it('for scales that are not those of the values', () => {
    const any = fc.float32Array({ minLength: 300, maxLength: 300 });
    fc.assert(
      fc.property(
        codebook,
        values((a, _, b) => a + b - 1),
        any,
        blockSize,
        (book, list, scales, size) => {
          const codec = codebookCodec('test', book);
          const wanted = plain(book, list, size, scales);
          expectSame(codec.encode(list, scales, size), wanted.codes, 'code');
          const decoded = codec.decode(wanted.codes, scales, size, list.length);
          expectSame(oneNaN(decoded), oneNaN(wanted.decoded), 'value');
        },
      ),
    );
  });

  it('for block sizes that only decoding and encoding take', () => {
    fc.assert(
      fc.property(
        values((a, _, b) => a + b - 1),
        fc.integer({ min: 1, max: 9000 }),
        (list, size) => {
          const scales = new Float32Array(Math.ceil(list.length / size)).fill(1);
          const codec = codebookCodec('test', NF4_CODEBOOK);
          const wanted = plain(NF4_CODEBOOK, list, size, scales);
          expectSame(codec.encode(list, scales, size), wanted.codes, 'code');
          expectSame(codec.decode(wanted.codes, scales, size, list.length), wanted.decoded, 'value');
        },
      ),
    );
  });

  it('for more values than the window holds, whatever is left at its end', () => {
    for (const [count, size] of [
      [3 * 16384, 64],
      [16384 + 1, 4096],
      [2 * 16384 + 4096 + 77, 4096],
      [5 * 16384 - 31, 32],
    ] as const) {
      const list = Float32Array.from({ length: count }, (_, i) => Math.sin(i) * (1 + (i % 7)));
      expectSameAsPlain(NF4_CODEBOOK, list, size);
    }
  });

  it('for 16-bit floats, which are the values that they stand for', () => {
    const codec = codebookCodec('test', NF4_CODEBOOK);
    fc.assert(
      fc.property(
        fc.constantFrom('f16' as const, 'bf16' as const),
        values((a, _, b) => (a + b - 1) * 10 ** Math.floor(b * 10 - 8)),
        blockSize,
        (dtype, list, size) => {
          const source = fromFloat32(dtype, [list.length], list);
          const wanted = codec.quantize(tensor('f32', [list.length], toFloat32(source)), size);
          expect(codec.quantize(source, size)).toEqual(wanted);
        },
      ),
    );
  });
});

describe('what is given', () => {
  const list = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i));
  const codec = codebookCodec('test', NF4_CODEBOOK);
  const wanted = plain(NF4_CODEBOOK, list, 64);

  it('may be a view into something larger, at any offset', () => {
    for (const offset of [4, 12, 20, 36]) {
      const buffer = new ArrayBuffer(offset + list.byteLength + 16);
      const view = new Float32Array(buffer, offset, list.length);
      view.set(list);
      expectSameAsPlain(NF4_CODEBOOK, view, 64);
      const codes = new Uint8Array(new ArrayBuffer(1000), (offset / 4) | 1, wanted.codes.length);
      codes.set(wanted.codes);
      expectSame(codec.decode(codes, wanted.absmax, 64, list.length), wanted.decoded, 'value');
    }
  });

  it('may be shared memory', () => {
    const shared = new Float32Array(new SharedArrayBuffer(list.byteLength));
    shared.set(list);
    expectSameAsPlain(NF4_CODEBOOK, shared, 64);
  });

  it('is not written to', () => {
    const before = list.slice();
    codec.quantize(tensor('f32', [list.length], list), 64);
    codec.decode(wanted.codes, wanted.absmax, 64, list.length);
    expect(list).toEqual(before);
  });
});

describe('what is returned', () => {
  it('has memory of its own, of its own size, and stays as it is', () => {
    const codec = codebookCodec('test', NF4_CODEBOOK);
    const ones = tensor('f32', [640], new Float32Array(640).fill(1));
    const first = codec.quantize(ones, 64)!;
    const values = codec.decode(first.codes, first.absmax, 64, 640);
    const copy = { codes: first.codes.slice(), absmax: first.absmax.slice() };
    codec.quantize(tensor('f32', [640], new Float32Array(640).fill(-2)), 64);
    expect(first).toEqual(copy);
    expect([...new Set(values)]).toEqual([1]);
    expect([first.codes, first.absmax, values].map((array) => array.buffer.byteLength)).toEqual([
      320,
      40,
      4 * 640,
    ]);
  });
});

it('a codec that is made of another one and has an encode of its own is not quantized by the other', () => {
  const nf4 = codebookCodec('nf4', NF4_CODEBOOK);
  const source = tensor('f32', [64], new Float32Array(64));
  expect({ ...nf4, name: 'same' }.quantize(source, 64)).toBeDefined();
  expect({ ...nf4, encode: () => new Uint8Array(32) }.quantize(source, 64)).toBeUndefined();
});

describe('without WebAssembly, or where a page forbids to compile it', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });
  const forbidden = () => {
    throw new Error('Refused to compile or instantiate WebAssembly module');
  };
  it.each([
    ['no WebAssembly', undefined],
    ['no compiling', { ...WebAssembly, Memory: WebAssembly.Memory, Module: forbidden }],
  ])('the bytes are the same: %s', async (_, stub) => {
    const list = Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i) * (i === 4000 ? Number.NaN : i));
    vi.stubGlobal('WebAssembly', stub);
    vi.resetModules();
    const alone = await import('./index');
    const { absmaxBlocks: absmaxAlone } = await import('@qlora/kernels');
    expect(absmaxAlone(list, 64, new Float32Array(100))).toBe(false);
    for (const [book, quantize, dequantize] of [
      [NF4_CODEBOOK, alone.quantizeNf4, alone.dequantizeNf4],
      [FP4_CODEBOOK, alone.quantizeFp4, alone.dequantizeFp4],
    ] as const) {
      const quantized = quantize(list);
      const codec = codebookCodec('test', book);
      expect(quantized).toEqual(codec.quantize(tensor('f32', [list.length], list), 64));
      const values = dequantize(quantized, list.length);
      const { codes, absmax } = quantized;
      expect(values).toEqual(codec.decode(codes, absmax, 64, list.length));
      const bits = dequantize(quantized, list.length, { dtype: 'f16' });
      expect(bits).toEqual(codec.decodeAs('f16', codes, absmax, 64, list.length));
    }
  });
});
