// Parts of tensors: the same values as the whole, and no more read than they need.

import { readFileSync } from 'node:fs';
import { codecNames, quantizeTensor, strategyNames } from '@qlora/quant-strategies';
import { bytesOf, bytesSource, cast, DTYPES, elementCount, QloraError, type Tensor } from '@qlora/tensor';
import { countingSource } from '@qlora-tooling/fuzz';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openQnat } from './reader';
import { bits, fileOf, partsOf, readAll, ruleOf, someTensor, threeTensors } from './testing';
import { denseSample } from './testing/samples';

const shapes = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
  fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 70 })),
  fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 4000, max: 4200 }),
  ),
  fc.tuple(fc.integer({ min: 8000, max: 9000 })),
);
const settings = fc.record({
  shape: shapes,
  scheme: fc.constantFrom(...codecNames()),
  strategy: fc.constantFrom(...strategyNames()),
  doubleQuant: fc.boolean(),
  blockSize: fc.constantFrom(32, 64, 128, 256, 512, 1024, 2048, 4096),
  dtype: fc.constantFrom('f64', 'f32', 'f16', 'bf16'),
  axis: fc.nat(3),
  from: fc.double({ min: 0, max: 1, noNaN: true }),
  to: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe('a quantized tensor of any scheme, strategy, block size, dtype and shape', () => {
  it('comes back bit for bit, whole and in parts', async () => {
    const property = fc.asyncProperty(settings, async ({ shape, axis, dtype, from, to, ...config }) => {
      if (config.strategy === 'per-channel' && shape.length === 0) return;
      const values = cast(someTensor(shape), dtype);
      const original = quantizeTensor(values, { ...config, axis: axis % Math.max(1, shape.length) });
      const bytes = await fileOf({ before: someTensor([5]), w: original });
      const file = await openQnat(bytesSource(bytes));
      const count = elementCount(shape);
      const [start, end] = [Math.floor(from * count), Math.floor(to * count)].sort((a, b) => a - b) as [
        number,
        number,
      ];
      const part = await file.readRange('w', start, end - start);
      const whole = (await file.read('w')).data as Float32Array;
      expect([part.dtype, part.shape]).toEqual(['f32', [end - start]]);
      expect(bits(part.data as Float32Array)).toEqual(bits(whole.subarray(start, end)));
      expect(partsOf(await file.readQuantized('w'))).toEqual(partsOf(original));
      expect(file.quantized.get('w')?.dtype).toBe(dtype);
    });
    await fc.assert(property, { numRuns: 400 });
  });
});

describe('a dense tensor', () => {
  it.each(DTYPES)('of %s comes in parts', async (dtype) => {
    const whole = denseSample(dtype);
    const file = await openQnat(bytesSource(await fileOf({ a: someTensor([3]), w: whole })));
    const part = await file.readRange('w', 1, 4);
    expect([part.dtype, part.shape]).toEqual([dtype, [4]]);
    const width = bytesOf(whole.data).length / 6;
    expect([...bytesOf(part.data)]).toEqual([...bytesOf(whole.data)].slice(width, 5 * width));
  });
});

describe('a range', () => {
  it('that does not lie in the tensor is refused', async () => {
    const file = await openQnat(bytesSource(await fileOf(threeTensors()), 'test.qnat'));
    for (const [start, count] of [
      [-1, 1],
      [0, 161],
      [160, 1],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const)
      await expect(file.readRange('weight', start, count)).rejects.toThrow(
        /test\.qnat: weight: values .* it has 160/,
      );
    await expect(file.readRange('no', 0, 1)).rejects.toThrow(QloraError);
    expect((await file.readRange('weight', 160, 0)).data.length).toBe(0);
  });

  it('reads the checksum’s bytes once, in pieces of 4 MB, and then what it needs', async () => {
    const dense = someTensor([1_500_000]);
    const bytes = countingSource(await fileOf({ w: dense, q: quantizeTensor(someTensor([64, 64])) }));
    const file = await openQnat(bytes);
    bytes.bytesRead = 0;
    bytes.largestRead = 0;
    await file.readRange('w', 100, 10);
    expect(bytes.largestRead).toBe(4 * 1024 * 1024);
    expect(bytes.bytesRead).toBe(6_000_000 + 40);
    bytes.bytesRead = 0;
    await file.readRange('w', 1_000_000, 20);
    expect(bytes.bytesRead).toBe(80);
    await file.readRange('q', 0, 1);
    bytes.bytesRead = 0;
    await file.readRange('q', 65, 10);
    // Values 64 to 74: 6 bytes of codes, the scale codes up to theirs, one nested absmax and the offset.
    expect(bytes.bytesRead).toBe(6 + 2 + 4 + 4);
  });

  it('of a damaged tensor is refused, however far from the damage, and as often as it is asked for', async () => {
    const file = await fileOf({ w: someTensor([2_000_000]), v: someTensor([3]) });
    const start = Number(new DataView(file.buffer).getBigUint64(32, true));
    file[start + 7_999_999] = 1;
    const open = await openQnat(bytesSource(file));
    const rule = () => ruleOf(() => open.readRange('w', 0, 1));
    expect(await Promise.all([rule(), rule()])).toEqual(['qnat/checksum', 'qnat/checksum']);
    expect(await rule()).toBe('qnat/checksum');
    expect(await ruleOf(() => open.readRange('v', 0, 1))).toBe('accepted');
  });

  it('of a file of the crate is the same as of the whole', async () => {
    for (const name of ['v1-odd', 'v1-double-zero-point', 'crate-v2-mixed', 'crate-v2-per-channel']) {
      const raw = readFileSync(new URL(`goldens/${name}.qnat`, import.meta.url));
      const file = await openQnat(bytesSource(new Uint8Array(raw)));
      for (const [tensor, whole] of await readAll(file)) {
        const count = whole.length / 4;
        const cut = Math.floor(count / 3);
        const parts: Tensor[] = [
          await file.readRange(tensor, 0, cut),
          await file.readRange(tensor, cut, count - cut),
        ];
        expect(parts.flatMap(({ data }) => [...bytesOf(data)])).toEqual(whole);
      }
    }
  });
});
