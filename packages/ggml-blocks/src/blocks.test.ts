// The block types held to ggml's own library (goldens/ggml.json, made by tooling/conformance/llama-cpp).
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bytesOf, QloraError, viewAs } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BlockType,
  blockByteLength,
  blockLayouts,
  blockTypeById,
  blockTypeOf,
  blockTypes,
} from './index';

interface Golden {
  readonly layouts: readonly (readonly [number, string, number, number])[];
  readonly edges: string;
  readonly stream: { readonly count: number; readonly sha256: string };
  readonly types: Readonly<
    Record<
      string,
      {
        readonly encoded: string;
        readonly decodedSha256: string;
        readonly streamSha256: string;
        readonly streamDecodedSha256: string;
      }
    >
  >;
}

const golden = JSON.parse(readFileSync(new URL('./goldens/ggml.json', import.meta.url), 'utf8')) as Golden;
const sha256 = (array: ArrayBufferView) => createHash('sha256').update(bytesOf(array)).digest('hex');
const edges = viewAs('f32', Uint8Array.from(Buffer.from(golden.edges, 'base64')));

/** The same values as `stream` of make_block_goldens.py. */
function stream(count: number): Float32Array {
  const words = new Uint32Array(count);
  let state = 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state;
  }
  const signed = Float32Array.from(words, (word) => Math.fround(word - 2 ** 31) * 2 ** -31);
  const quarter = count / 4;
  const values = signed.slice();
  for (let i = 0; i < quarter; i++) {
    const before = i === 0 ? 2 * quarter - 1 : quarter + i - 1;
    values[quarter + i] = signed[quarter + i]! * signed[before]!;
    const exponent = ((words[2 * quarter + i - (i % 32)]! >>> 24) % 40) - 30;
    values[2 * quarter + i] = signed[2 * quarter + i]! * 2 ** exponent;
    values[3 * quarter + i] = roundHalfEven(signed[3 * quarter + i]! * 64) / 32;
  }
  return values;
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  return value - low > 0.5 || (value - low === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

it('knows the name and sizes of every type that ggml has', () => {
  expect([...blockLayouts.values()].map((l) => [l.id, l.name, l.blockSize, l.blockBytes])).toEqual(
    golden.layouts,
  );
  for (const { id, name, blockSize, blockBytes } of blockTypes.values()) {
    expect(blockLayouts.get(id)).toEqual({ id, name, blockSize, blockBytes });
  }
});

const million = stream(golden.stream.count);

it('makes the values that the golden was made from', () => {
  expect(sha256(million)).toBe(golden.stream.sha256);
});

for (const [name, expected] of Object.entries(golden.types)) {
  describe(name, () => {
    const type = blockTypeOf(name);

    it('encodes ties, denormals, zeros and the largest values to the bytes that ggml makes', () => {
      expect(Buffer.from(type.encode(edges)).toString('base64')).toBe(expected.encoded);
    });
    it('encodes a million values of four distributions to the bytes that ggml makes', () => {
      expect(sha256(type.encode(million))).toBe(expected.streamSha256);
    });
    it('decodes to the values that ggml decodes to, bit for bit', () => {
      expect(sha256(type.decode(type.encode(edges)))).toBe(expected.decodedSha256);
      expect(sha256(type.decode(type.encode(million)))).toBe(expected.streamDecodedSha256);
    });
  });
}

describe('the largest magnitude', () => {
  const words = new Uint32Array(1);
  const floats = new Float32Array(words.buffer);
  const after = (value: number) => {
    floats[0] = value;
    words[0] = words[0]! + 1;
    return floats[0];
  };
  const block = (type: BlockType, value: number) => new Float32Array(type.blockSize).fill(value);

  it.each(['f16', 'bf16', 'q4_0', 'q4_1', 'q5_0', 'q5_1', 'q8_0'])(
    'of %s is finite, and not the next',
    (name) => {
      const type = blockTypeOf(name);
      const { maxMagnitude } = type;
      expect(type.decode(type.encode(block(type, maxMagnitude)))[0]).toSatisfy(Number.isFinite);
      const next = block(type, after(maxMagnitude));
      if (type.blockSize === 1) expect(type.decode(type.encode(next))[0]).toBe(Number.POSITIVE_INFINITY);
      else expect(() => type.encode(next)).toThrow(/block 0 has a scale that is not finite/);
    },
  );

  it.each([...blockTypes.keys()])('of %s leaves any block finite', (name) => {
    const type = blockTypeOf(name);
    const shares = fc.array(fc.constantFrom(-1, -0.5, -0.1, -1e-9, 0, 1e-3, 0.3, 0.9, 1), {
      minLength: type.blockSize,
      maxLength: type.blockSize,
    });
    fc.assert(
      fc.property(shares, (list) => {
        const bytes = type.encode(Float32Array.from(list, (share) => share * type.maxMagnitude));
        expect(type.firstInvalid(bytes)).toBe(-1);
        expect(type.decode(bytes).every(Number.isFinite)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

it('q8_0 is never further from a value than half a step, and the rounding of the step to f16', () => {
  const finite = fc.float({ noNaN: true, noDefaultInfinity: true, min: -60000, max: 60000 });
  fc.assert(
    fc.property(fc.array(finite, { minLength: 32, maxLength: 32 }), (list) => {
      const values = Float32Array.from(list);
      const q8 = blockTypeOf('q8_0');
      const decoded = q8.decode(q8.encode(values));
      const max = values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      const bound = max / 254 + 127 * Math.max((max / 127) * 2 ** -11, 2 ** -25) + 1e-30;
      values.forEach((value, i) => {
        expect(Math.abs(value - (decoded[i] ?? Number.NaN))).toBeLessThanOrEqual(bound * 1.0001);
      });
    }),
  );
});

it('f32 keeps every bit', () => {
  const type = blockTypeOf('f32');
  expect(type.decode(type.encode(edges))).toEqual(edges);
});

describe('what is no whole block', () => {
  it('is refused in both directions, with the type and the size that is needed', () => {
    expect(() => blockTypeOf('q8_0').encode(new Float32Array(33))).toThrow(
      'q8_0: 33 values are no whole blocks of 32.',
    );
    expect(() => blockTypeOf('q8_0').decode(new Uint8Array(35))).toThrow(
      'q8_0: 35 bytes are no whole blocks of 34.',
    );
    expect(() => blockTypeOf('f16').decode(new Uint8Array(3))).toThrow(QloraError);
    expect(() => blockByteLength(blockTypeOf('q8_0'), 172)).toThrow(/172 values/);
  });
  it('has no size', () => {
    expect(blockByteLength(blockTypeOf('q8_0'), 64)).toBe(68);
  });
});

it('an unknown name is answered with the known ones', () => {
  expect(() => blockTypeOf('q9_9')).toThrow(/Known: f32, .*, q4_K, .*, nvfp4\.$/);
  expect(blockTypeById(16)).toBeUndefined();
  expect(blockTypeById(8)).toBe(blockTypeOf('q8_0'));
});
