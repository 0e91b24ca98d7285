// Files of the real crate, and what the crate itself decodes from them (goldens, made by tooling/conformance/qlora-rs and
// qlora-rs-1.3).
import { readFileSync } from 'node:fs';
import { bytesSource, memorySink } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exportNative } from './export';
import crateVersion2 from './goldens/crate-v2.json';
import version1 from './goldens/v1.json';
import { openQnat } from './reader';
import { bits, readAll, ruleOf, rulesIn } from './testing';

const golden = (name: string) => new Uint8Array(readFileSync(new URL(`./goldens/${name}`, import.meta.url)));
const goldens = [
  { version: 1, ...version1 },
  { version: 2, ...crateVersion2 },
];

for (const { version, crate, files } of goldens) {
  describe(`files of ${crate}`, () => {
    for (const { file: name, metadata, tensors } of files) {
      it(`${name} opens, with its metadata, names and shapes`, async () => {
        const file = await openQnat(bytesSource(golden(name), name));
        expect(file.dialect).toBe('qlora-rs');
        expect(file.version).toBe(version);
        expect(file.json).toEqual(metadata);
        expect(file.tensors).toEqual(tensors.map(({ name, shape }) => ({ name, shape, dtype: 'f32' })));
      });

      for (const tensor of tensors) {
        const odd = tensor.blockSize % 2 === 1;
        it(`${name}: ${tensor.name} decodes ${odd ? 'to what went in' : 'as the crate decodes it'}`, async () => {
          const file = await openQnat(bytesSource(golden(name), name));
          const { data } = await file.read(tensor.name);
          const values = [...(data as Float32Array)];
          const expected = Float32Array.from(tensor.decoded);
          if (odd) {
            // The crate reads blocks of an odd length from the wrong nibble, so what went in is the measure.
            expect(worst(values, tensor.values)).toBeLessThan(0.16);
            expect(worst(tensor.decoded, tensor.values)).toBeGreaterThan(0.5);
          } else if (tensor.zeroPoint) {
            // The crate adds before it multiplies, we after: two roundings more or less.
            for (const [i, value] of values.entries())
              expect(Math.abs(value - (expected[i] ?? 0))).toBeLessThan(1e-6);
          } else expect(bits(values)).toEqual(bits(expected));
        });
      }
    }

    it('every file becomes version 2 of this format, with the same values', async () => {
      for (const { file: name } of files) {
        const file = await openQnat(bytesSource(golden(name), name));
        const sink = memorySink();
        await exportNative(file, sink, { metadata: file.json });
        const copy = await openQnat(bytesSource(sink.bytes()));
        expect([copy.version, copy.dialect]).toEqual([2, '@qlora']);
        expect(copy.json).toEqual(file.json);
        expect(await readAll(copy)).toEqual(await readAll(file));
      }
    });

    it('is refused with a QloraError, never with another error, when any bytes are changed', async () => {
      const change = fc.record({ at: fc.nat(), value: fc.nat(255) });
      const property = fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        async ({ file: name }, changes) => {
          const bytes = golden(name);
          for (const { at, value } of changes) bytes[at % bytes.length] = value;
          await ruleOf(async () => readAll(await openQnat(bytesSource(bytes))));
        },
      );
      await fc.assert(property, { numRuns: 2000 });
    });

    it('is refused when it ends early', async () => {
      for (const { file: name, tensors } of files) {
        const bytes = golden(name);
        // Version 1 tells the kind of the last tensor by where the file ends, so a cut that leaves a tensor of a kind with
        // less beside its scales, to the byte, cannot be seen.
        const { values = [], blockSize = 1, zeroPoint = false, doubleQuant = false } = tensors.at(-1) ?? {};
        const b = values.length / blockSize;
        const end = bytes.length - (zeroPoint ? 4 * b : 0) - (doubleQuant ? b + 4 : 0);
        const unseen = version === 1 ? [0, 4 * b, b + 4].map((extra) => end + extra) : [];
        for (let length = 0; length < bytes.length; length++) {
          const rule = await ruleOf(() => openQnat(bytesSource(bytes.subarray(0, length))));
          if (!unseen.includes(length)) expect(rule).toMatch(/^qnat\//);
        }
      }
    });
  });
}

/** Largest distance, relative to the largest value. */
function worst(a: readonly number[], b: readonly number[]): number {
  const scale = Math.max(...b.map(Math.abs));
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? 0)))) / scale;
}

describe('what the crate makes of zero points', () => {
  it('moves every block by its −min, which is not what went in', () => {
    const [tensor] = version1.files.find(({ file }) => file === 'v1-zero-point.qnat')?.tensors ?? [];
    const { values = [], decoded = [], blockSize = 1 } = tensor ?? {};
    const block = values.slice(0, blockSize);
    const moved = block.map((value) => value - Math.min(...block));
    expect(worst(decoded.slice(0, blockSize), moved)).toBeLessThan(0.16);
    expect(worst(decoded.slice(0, blockSize), block)).toBeGreaterThan(0.3);
  });
});

describe('a file that claims to be of the crate is refused by rule', () => {
  const set =
    (at: number, value: number, bytes = 4) =>
    (file: Uint8Array) => {
      const view = new DataView(file.buffer);
      if (bytes === 1) view.setUint8(at, value);
      else if (bytes === 4) view.setUint32(at, value, true);
      else view.setBigUint64(at, BigInt(value), true);
      return file;
    };
  const append = (file: Uint8Array) => Uint8Array.of(...file, 0);
  // v1-plain.qnat: strings at 28 and 43, compute type at 52; the record of "w" from 53 on: name, rank at 58, shape at 62
  // and 70, block size at 78, offset at 82, blocks at 90; the next record from 94 on, with its offset at 168.
  // crate-v2-plain.qnat has flags at 94.
  const cases: [string, string, (file: Uint8Array) => Uint8Array][] = [
    ['header', 'v1-plain', set(8, 1)],
    ['header', 'v1-plain', set(12, 60, 8)],
    ['truncated', 'v1-plain', (file) => file.slice(0, 20)],
    ['tensor-count', 'v1-plain', set(20, 0xffffffff)],
    ['string-length', 'v1-plain', set(28, 0xffffffff)],
    ['string', 'v1-plain', set(32, 0xff, 1)],
    ['compute-type', 'v1-plain', set(52, 3, 1)],
    ['rank', 'v1-plain', set(58, 17)],
    ['overflow', 'v1-plain', set(69, 0xff, 1)],
    ['overflow', 'v1-plain', (file) => set(62, 2 ** 50, 8)(set(70, 2 ** 50, 8)(file))],
    ['block-count', 'v1-plain', set(78, 31)],
    ['offset', 'v1-plain', set(82, 32, 8)],
    ['outside', 'v1-plain', set(168, 0, 8)],
    ['tensor-size', 'v1-plain', append],
    ['file-size', 'v1-empty', append],
    ['flags', 'crate-v2-plain', set(94, 8)],
    ['tensor-size', 'crate-v2-plain', set(94, 1)],
    ['channels', 'crate-v2-plain', set(94, 4)],
  ];
  it.each(cases)('%s (%s)', async (rule, name, change) => {
    const bytes = change(golden(`${name}.qnat`));
    expect(await ruleOf(() => openQnat(bytesSource(bytes)))).toBe(`qnat/qlora-rs/${rule}`);
  });

  it('duplicate-name', async () => {
    const record = { name: 'w', shape: [2, 2], blockSize: 2, blocks: 2, size: 10 };
    const open = (names: string[]) =>
      openQnat(bytesSource(crateFile(names.map((name) => ({ ...record, name })))));
    expect((await open(['v', 'w'])).tensors.length).toBe(2);
    expect(await ruleOf(() => open(['w', 'w']))).toBe('qnat/qlora-rs/duplicate-name');
  });

  it('block-size', async () => {
    const file = crateFile([{ name: 'w', shape: [0], blockSize: 0, blocks: 3, size: 12 }]);
    expect(await ruleOf(() => openQnat(bytesSource(file)))).toBe('qnat/qlora-rs/block-size');
  });

  it('and every rule that the sources name has a case', () => {
    const tested = [...cases.map(([rule]) => rule), 'duplicate-name', 'block-size'];
    expect([...new Set(tested)].sort()).toEqual(rulesIn('qlora-rs', 'cursor'));
  });

  it('reads nothing large on the word of a file', async () => {
    const head = crateFile([{ name: 'w', shape: [2 ** 40, 64], blockSize: 64, blocks: 2 ** 31, size: 0 }]);
    const reads: number[] = [];
    const source = {
      ...bytesSource(head),
      size: 2 ** 50,
      read: async (offset: number, length: number) => {
        reads.push(length);
        const bytes = new Uint8Array(length);
        bytes.set(head.subarray(offset, offset + length));
        return bytes;
      },
    };
    expect(await ruleOf(() => openQnat(source))).toBe('qnat/qlora-rs/block-count');
    expect(Math.max(...reads)).toBeLessThanOrEqual(64 * 1024);
  });
});

/** A version 1 file as the crate would write it, with data of zeros. */
function crateFile(
  records: { name: string; shape: number[]; blockSize: number; blocks: number; size: number }[],
): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [0x51, 0x4e, 0x41, 0x54];
  const number = (value: number, width: 4 | 8) => {
    for (let i = 0; i < width; i++) bytes.push(Math.floor(value / 256 ** i) % 256);
  };
  const string = (text: string) => {
    number(text.length, 4);
    bytes.push(...new TextEncoder().encode(text));
  };
  for (const [value, width] of [
    [1, 4],
    [0, 4],
    [0, 8],
    [records.length, 4],
    [0, 4],
  ] as const)
    number(value, width);
  string('qlora-model');
  string('qlora');
  bytes.push(0);
  let offset = records.reduce((sum, { name, shape }) => sum + 24 + name.length + 8 * shape.length, 60);
  for (const { name, shape, blockSize, blocks, size } of records) {
    string(name);
    number(shape.length, 4);
    for (const length of shape) number(length, 8);
    number(blockSize, 4);
    number(offset, 8);
    number(blocks, 4);
    offset += size;
  }
  return Uint8Array.from([...bytes, ...records.flatMap(({ size }) => Array<number>(size).fill(0))]);
}
