// What all block types do alike: rows in parts, and what is refused.
import { bytesOf, QloraError } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { blockTypeOf, blockTypes } from './index';

const values = Float32Array.from({ length: 4 * 512 }, (_, i) => Math.sin(i * i) / (1 + (i % 7)));
const importance = Float32Array.from({ length: 512 }, (_, i) => (i % 5) ** 2 / 3);
const blocks = [...blockTypes.values()].filter((type) => type.blockSize > 1);
const weighted = blocks.filter((type) => type.takesImportance);

/** The rule that `body` breaks. */
function ruleOf(body: () => unknown): string | undefined {
  try {
    body();
  } catch (error) {
    if (error instanceof QloraError) return error.rule;
    throw error;
  }
  return undefined;
}

it('the types that take an importance matrix are those that ggml gives one to', () => {
  expect(weighted.map((type) => type.name).join(' ')).toBe(
    'q4_0 q4_1 q5_0 q5_1 q2_K q3_K q4_K q5_K q6_K iq4_nl iq4_xs',
  );
});

describe.each(blocks.map((type) => type.name))('%s', (name) => {
  const type = blockTypeOf(name);
  const options = type.takesImportance ? { importance } : {};

  it('gives the same bytes for rows one by one', () => {
    const parts = [0, 1, 2, 3].map((row) =>
      type.encode(values.subarray(512 * row, 512 * (row + 1)), options),
    );
    expect(Buffer.concat(parts)).toEqual(Buffer.from(type.encode(values, options)));
  });
  it('leaves what it was given, and returns memory of its own', () => {
    const before = [values.slice(), importance.slice()];
    const bytes = type.encode(values, options);
    const copy = bytes.slice();
    const decoded = type.decode(bytes);
    type.decode(type.encode(values.map((value) => -value)));
    expect([values, importance]).toEqual(before);
    expect(bytes).toEqual(copy);
    expect(decoded).toEqual(type.decode(copy));
  });
  it('takes views at odd offsets', () => {
    const bytes = type.encode(values);
    const odd = new Uint8Array(new ArrayBuffer(bytes.length + 1), 1);
    odd.set(bytes);
    expect(type.decode(odd)).toEqual(type.decode(bytes));
    const shifted = new Float32Array(values.length + 1).subarray(1);
    shifted.set(values);
    expect(type.encode(shifted)).toEqual(bytes);
  });
  it('has nothing to say of nothing', () => {
    expect(type.encode(new Float32Array(0)).length).toBe(0);
    expect(type.decode(new Uint8Array(0)).length).toBe(0);
    expect(type.firstInvalid(new Uint8Array(0))).toBe(-1);
  });
  it('refuses values that are not finite, and says which', () => {
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      const list = values.slice();
      list[777] = value;
      expect(() => type.encode(list)).toThrow(`${name}: value 777 is ${value}.`);
      expect(ruleOf(() => type.encode(list))).toBe('ggml/value-not-finite');
    }
  });
  it('refuses part of a block', () => {
    expect(() => type.encode(new Float32Array(type.blockSize + 1))).toThrow(/no whole blocks/);
    expect(() => type.decode(new Uint8Array(type.blockBytes - 1))).toThrow(/no whole blocks/);
    expect(() => type.firstInvalid(new Uint8Array(type.blockBytes + 1))).toThrow(/no whole blocks/);
  });
});

describe('importance', () => {
  it.each(weighted.map((type) => type.name))('changes the blocks of %s', (name) => {
    const type = blockTypeOf(name);
    expect(type.encode(values, { importance })).not.toEqual(type.encode(values));
  });
  it('is refused by types that take none', () => {
    for (const name of ['f32', 'f16', 'bf16', 'q8_0', 'mxfp4', 'nvfp4']) {
      expect(
        ruleOf(() => blockTypeOf(name).encode(values, { importance })),
        name,
      ).toBe('ggml/importance-not-taken');
    }
  });
  it('is refused if rows of its length do not make up the values', () => {
    const q4 = blockTypeOf('q4_K');
    for (const length of [0, 100, 300, 768, 4096]) {
      expect(
        ruleOf(() => q4.encode(values, { importance: new Float32Array(length) })),
        `${length}`,
      ).toBe('ggml/importance-length');
    }
  });
  it('is refused if it is no mean of squares', () => {
    for (const value of [-0.5, Number.NaN, Infinity]) {
      const list = importance.slice();
      list[31] = value;
      expect(() => blockTypeOf('q6_K').encode(values, { importance: list })).toThrow(
        `importance 31 is ${value}`,
      );
      expect(ruleOf(() => blockTypeOf('q4_0').encode(values, { importance: list }))).toBe(
        'ggml/importance-value',
      );
    }
  });
});

describe('blocks that are not valid', () => {
  it('are found by their scales, as ggml_validate_row_data finds them', () => {
    const q4 = blockTypeOf('q4_K');
    const bytes = q4.encode(values);
    for (const half of [0x7c00, 0xfc00, 0x7e00, 0x7c01]) {
      for (const place of [0, 2]) {
        const spoilt = bytes.slice();
        spoilt.set([half & 255, half >> 8], 3 * q4.blockBytes + place);
        expect(q4.firstInvalid(spoilt)).toBe(3);
      }
    }
    const mx = blockTypeOf('mxfp4').encode(values);
    mx[17 * 5] = 255;
    expect(blockTypeOf('mxfp4').firstInvalid(mx)).toBe(5);
  });
  it('of single values are the values themselves', () => {
    const list = new Float32Array(20);
    list[7] = Number.NEGATIVE_INFINITY;
    for (const name of ['f32', 'f16', 'bf16']) {
      const type = blockTypeOf(name);
      expect(type.firstInvalid(type.encode(list))).toBe(7);
      expect(type.firstInvalid(type.encode(list.fill(1, 7, 8)))).toBe(-1);
      list[7] = Number.NEGATIVE_INFINITY;
    }
    expect(() => blockTypeOf('f32').firstInvalid(bytesOf(list).subarray(1))).toThrow(QloraError);
  });
});
