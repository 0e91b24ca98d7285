// Block types against ggml itself (goldens/ggml.json, made by tooling/conformance/llama-cpp) and their own definition.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import goldens from './goldens/ggml.json';
import { blockByteLength, blockTypeById, blockTypeOf, blockTypes, q8_0 } from './index';

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
const floats = (text: string) => new Float32Array(bytes(text).buffer);

describe('bytes are those of ggml', () => {
  it.each(goldens.cases)('$type: $name', (golden) => {
    expect([...blockTypeOf(golden.type).encode(floats(golden.values))]).toEqual([...bytes(golden.bytes)]);
  });
});

describe('q8_0', () => {
  it('is within half a step of every value', () => {
    const rows = fc.array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(rows, (row) => {
        const values = Float32Array.from(row);
        const step = Math.max(...values.map(Math.abs)) / 127;
        const back = q8_0.decode(q8_0.encode(values));
        // The scale is rounded to f16 after the codes are chosen: 127 × 2⁻¹¹ of a step at most, and f16's own least unit.
        values.forEach((value, i) => {
          expect(Math.abs((back[i] ?? 0) - value)).toBeLessThanOrEqual(step * 0.563 + 127 * 2 ** -25);
        });
      }),
    );
  });

  it('refuses what is no whole blocks', () => {
    expect(() => q8_0.encode(new Float32Array(33))).toThrow(/33 values are no whole blocks of 32/);
    expect(() => q8_0.decode(new Uint8Array(33))).toThrow(/33 bytes are no whole blocks of 34/);
  });
});

it('types are found by name and by id', () => {
  for (const type of blockTypes.values()) {
    expect(blockTypeOf(type.name)).toBe(type);
    expect(blockTypeById(type.id)).toBe(type);
    expect(blockByteLength(type, 64)).toBe((64 / type.blockSize) * type.blockBytes);
  }
  expect(() => blockTypeOf('q9')).toThrow(/no ggml type named "q9"\. Known: f32/);
  expect(blockTypeById(12345)).toBeUndefined();
});
