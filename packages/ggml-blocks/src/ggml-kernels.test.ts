// The types that have kernels, held to their plain TypeScript byte for byte. That it is ggml's arithmetic, goldens.test.ts
// shows.
import { decodeGgmlBlocks, encodeGgmlBlocks, encodeGgmlRow, type GgmlKind } from '@qlora/kernels';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BlockLoops } from './define';
import { blockTypeOf } from './index';
import { plainIq4Nl, plainIq4Xs } from './iq4';
import { plainQ40 } from './legacy';
import { plainQ4K } from './q4-k';
import { plainQ5K } from './q5-k';
import { plainQ6K } from './q6-k';
import { distributions, importances } from './testing/distributions';

const PLAIN: Record<GgmlKind, Required<BlockLoops>> = {
  q4_0: plainQ40,
  q4_K: plainQ4K,
  q5_K: plainQ5K,
  q6_K: plainQ6K,
  iq4_nl: plainIq4Nl,
  iq4_xs: plainIq4Xs,
};
const KINDS = Object.keys(PLAIN) as GgmlKind[];

const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

/** Large arrays are compared as bytes: vitest's own comparison takes a hundred times as long. */
const bytesOf = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** JavaScript leaves the bits of a computed NaN open. */
const oneNaN = (values: Float32Array) =>
  new Uint32Array(values.map((value) => (Number.isNaN(value) ? Number.NaN : value)).buffer);

/** Blocks of both ways, those without a finite scale left out: encoding refuses what has one. */
function expectSame(kind: GgmlKind, values: Float32Array, importance?: Float32Array): void {
  const type = blockTypeOf(kind);
  const [ours, plain] = [0, 1].map(() => new Uint8Array((values.length / type.blockSize) * type.blockBytes));
  if (importance) {
    expect(encodeGgmlRow(kind, values, importance, ours!)).toBe(true);
    PLAIN[kind].encodeRow(values, importance, plain!);
  } else {
    expect(encodeGgmlBlocks(kind, values, ours!)).toBe(true);
    PLAIN[kind].encode(values, plain!);
  }
  for (let at = 0; at < ours!.length; at += type.blockBytes) {
    const [a, b] = [ours!, plain!].map((bytes) => bytes.subarray(at, at + type.blockBytes));
    if (type.firstInvalid(b!) >= 0) expect(type.firstInvalid(a!)).toBe(0);
    else if (bytesOf(a!).compare(bytesOf(b!)) !== 0) expect([at / type.blockBytes, a]).toEqual([0, b]);
  }
}

/** A row of some super-blocks by a rule that gets random numbers from 0 to 1. */
const rows = (rule: (random: number, index: number, other: number) => number) =>
  fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(2 ** 31)).map(([count, seed]) => {
    let state = seed;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    return Float32Array.from({ length: 256 * count }, (_, i) => rule(next(), i, next()));
  });

describe.each(KINDS)('the kernels of %s give the bytes of plain TypeScript', (kind) => {
  it('for fifteen distributions, with and without importance', () => {
    const weights = Object.values(importances(2048));
    for (const values of Object.values(distributions(2048))) {
      expectSame(kind, values);
      for (const importance of weights) expectSame(kind, values, importance);
    }
  });

  it('for weights of any size, and importance of any', () => {
    const weights = fc
      .tuple(
        rows((a, _, b) => a + b - 1),
        fc.integer({ min: -45, max: 30 }),
        fc.integer({ min: -40, max: 30 }),
      )
      .map(([list, size, power]) => ({
        values: list.map((value) => value * 10 ** size),
        importance: list.map((value) => value ** 2 * 10 ** power),
      }));
    fc.assert(
      fc.property(weights, ({ values, importance }) => {
        expectSame(kind, values);
        expectSame(kind, values, importance);
      }),
      { numRuns: 60 },
    );
  });

  it('for any finite bits, a block of one exponent or of all', () => {
    const anyBits = rows((random) => {
      words[0] = random * 2 ** 32;
      return Number.isFinite(floats[0]) ? floats[0]! : 0;
    });
    const few = rows(
      (a, i, b) => [0, 1, -1, a, b, 1e-30, 3e7 * a][(i * i + (i >> 5)) % 7]! * (a < 0.1 ? 0 : 1),
    );
    fc.assert(
      fc.property(fc.oneof(anyBits, few), (values) => expectSame(kind, values)),
      { numRuns: 60 },
    );
  });

  it('for rows that are no multiple of four blocks, and more than the window holds', () => {
    const { blockSize } = blockTypeOf(kind);
    const { normal, 'every size': sizes } = distributions(40960);
    for (const blocks of [1, 2, 3, 5, 7]) expectSame(kind, normal!.subarray(0, blocks * blockSize));
    expectSame(kind, sizes!);
    for (const blocks of [1, 3, 6]) {
      const count = blocks * blockSize;
      expectSame(kind, normal!.subarray(0, count), sizes!.subarray(0, count).map(Math.abs));
    }
    expectSame(kind, sizes!, normal!.map(Math.abs));
  });

  it('for any bytes when decoding', () => {
    const { blockSize, blockBytes } = blockTypeOf(kind);
    const length = (count: number) => ({ minLength: blockBytes * count, maxLength: blockBytes * count });
    const bytes = fc.nat(20).chain((count) => fc.uint8Array(length(count)));
    fc.assert(
      fc.property(bytes, (list) => {
        const [ours, plain] = [0, 1].map(() => new Float32Array((list.length / blockBytes) * blockSize));
        expect(decodeGgmlBlocks(kind, list, ours!)).toBe(true);
        PLAIN[kind].decode(list, plain!);
        expect(bytesOf(oneNaN(ours!)).compare(bytesOf(oneNaN(plain!)))).toBe(0);
      }),
    );
  });
});

describe('without WebAssembly', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });
  it('the bytes are the same', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    vi.resetModules();
    const alone = await import('./index');
    const { 'heavy-tailed': values } = distributions(4096);
    const { squares: importance } = importances(1024);
    for (const kind of KINDS) {
      const [type, other] = [blockTypeOf(kind), alone.blockTypeOf(kind)];
      for (const options of [{}, { importance }]) {
        const bytes = type.encode(values!, options);
        expect(other.encode(values!, options)).toEqual(bytes);
        expect(other.decode(bytes)).toEqual(type.decode(bytes));
      }
    }
  });
});
