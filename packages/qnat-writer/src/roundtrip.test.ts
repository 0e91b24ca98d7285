// What is written comes back, bit for bit.
import {
  codecNames,
  codecOf,
  dequantizeTensor,
  type QuantizedTensor,
  quantizeTensor,
  quantizingSource,
  strategyNames,
  strategyOf,
} from '@qlora/quant-strategies';
import { strategyCases } from '@qlora/quant-strategies/testing';
import {
  bytesOf,
  bytesSource,
  DTYPES,
  memorySink,
  memorySource,
  type Tensor,
  tensor,
  zeros,
} from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exportNative } from './export';
import { ALIGNMENT, QNAT_STRATEGIES } from './layout';
import { openQnat } from './reader';
import { bits, fileOf, partsOf, planOf, readAll, someTensor } from './testing';
import { qnatSink } from './writer';

const roundTrip = async (name: string, value: Tensor | QuantizedTensor) =>
  openQnat(bytesSource(await fileOf({ [name]: value })));

describe('quantized tensors come back as they were', () => {
  it('for every strategy that there is', () => {
    expect([...QNAT_STRATEGIES].sort()).toEqual(strategyNames().sort());
  });

  const shapes = [[64, 33], [3, 5], [129], [2, 3, 7], [], [0, 8], [300, 64]];
  for (const scheme of codecNames()) {
    for (const strategy of strategyNames()) {
      for (const doubleQuant of [true, false]) {
        it(`${scheme}, ${strategy}, ${doubleQuant ? 'double quantization' : 'plain scales'}`, async () => {
          for (const shape of shapes) {
            for (const axis of strategy === 'per-channel' ? shape.keys() : [0]) {
              for (const blockSize of [32, 64]) {
                const original = quantizeTensor(someTensor(shape), {
                  scheme,
                  strategy,
                  doubleQuant,
                  blockSize,
                  axis,
                });
                const file = await roundTrip('w', original);
                expect(partsOf(await file.readQuantized('w'))).toEqual(partsOf(original));
                const { dtype, data, shape: back } = await file.read('w');
                expect([dtype, back]).toEqual(['f32', shape]);
                expect(bits(data as Float32Array)).toEqual(bits(dequantizeTensor(original)));
              }
            }
          }
        });
      }
    }
  }

  // The samples of the kit that strategies are held to their contract with: every rank, empty and odd shapes, every axis.
  const store = async (quantized: QuantizedTensor) => (await roundTrip('w', quantized)).readQuantized('w');
  for (const strategy of strategyNames()) {
    const cases = strategyCases(strategyOf(strategy), { codecs: codecNames().map(codecOf), store });
    for (const { name, run } of cases.filter(({ name }) => /is stored/.test(name))) it(name, run);
  }

  it('with the type that they were quantized from', async () => {
    const half = tensor(
      'bf16',
      [32],
      Uint16Array.from({ length: 32 }, (_, i) => 0x3f80 + i),
    );
    const file = await roundTrip('w', quantizeTensor(half));
    expect(file.tensors).toEqual([{ name: 'w', dtype: 'f32', shape: [32] }]);
    expect(file.quantized.get('w')?.dtype).toBe('bf16');
    expect((await file.readQuantized('w')).dtype).toBe('bf16');
  });

  it('with scales and zero points that are no ordinary numbers', async () => {
    const odd = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, -0, 1e-45);
    const quantized: QuantizedTensor = {
      ...quantizeTensor(someTensor([128]), { strategy: 'zero-point', blockSize: 32, doubleQuant: false }),
      scales: { kind: 'plain', values: odd },
      zeroPoints: odd,
    };
    const back = await (await roundTrip('w', quantized)).readQuantized('w');
    expect(partsOf(back)).toEqual(partsOf(quantized));
  });
});

describe('dense tensors come back as they were', () => {
  it.each(DTYPES)('%s', async (dtype) => {
    const data = zeros(dtype, 6);
    bytesOf(data).forEach((_, i, bytes) => {
      bytes[i] = dtype === 'bool' ? i % 2 : i * 41 + 7;
    });
    const file = await roundTrip('values', { dtype, shape: [2, 3], data } as Tensor);
    const back = await file.read('values');
    expect([back.dtype, back.shape]).toEqual([dtype, [2, 3]]);
    expect([...bytesOf(back.data)]).toEqual([...bytesOf(data)]);
    expect(file.quantized.size).toBe(0);
  });

  it('scalars and tensors without values', async () => {
    for (const shape of [[], [0], [3, 0, 2]]) {
      const back = await (await roundTrip('w', someTensor(shape))).read('w');
      expect(back.shape).toEqual(shape);
      expect(back.data.length).toBe(shape.length === 0 ? 1 : 0);
    }
  });
});

describe('any tensors under any names', () => {
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
  const value = fc.tuple(
    fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
    fc.constantFrom('dense', ...strategyNames()),
    fc.boolean(),
    fc.constantFrom(...codecNames()),
  );
  const made = fc.dictionary(name, value, { maxKeys: 6, noNullPrototype: true }).map(
    (entries) =>
      Object.fromEntries(
        Object.entries(entries)
          .filter(([, [shape, strategy]]) => strategy !== 'per-channel' || shape.length > 0)
          .map(([key, [shape, strategy, doubleQuant, scheme]]) => {
            const dense = someTensor(shape);
            return [
              key,
              strategy === 'dense'
                ? dense
                : quantizeTensor(dense, { scheme, strategy, doubleQuant, blockSize: 32 }),
            ];
          }),
      ) as Record<string, Tensor | QuantizedTensor>,
  );

  it('come back, in the order of their announcement, and the order of writing does not show', async () => {
    const property = fc.asyncProperty(made, fc.jsonValue({ maxDepth: 3 }), async (tensors, note) => {
      const names = Object.keys(tensors);
      const metadata = { note };
      const first = await fileOf(tensors, metadata);
      const sink = memorySink();
      const qnat = await qnatSink(
        sink,
        names.map((name) => planOf(name, tensors[name] as Tensor)),
        metadata,
      );
      await Promise.all(names.reverse().map((name) => qnat.write(name, tensors[name] as Tensor)));
      await qnat.finish();
      expect(sink.bytes()).toEqual(first);

      const file = await openQnat(bytesSource(first));
      expect(JSON.stringify(file.json)).toBe(JSON.stringify(metadata));
      expect(file.tensors.map(({ name }) => name)).toEqual(Object.keys(tensors));
      for (const [name, value] of Object.entries(tensors)) {
        if ('codes' in value) expect(partsOf(await file.readQuantized(name))).toEqual(partsOf(value));
        else expect(await file.read(name)).toEqual(value);
      }
    });
    await fc.assert(property, { numRuns: 200 });
  });
});

describe('a file', () => {
  it('has every section at a multiple of 64', async () => {
    const written: number[] = [];
    const sink = memorySink();
    const recording = {
      ...sink,
      write: (offset: number, content: Uint8Array) => {
        if (content.some((byte) => byte !== 0)) written.push(offset);
        return sink.write(offset, content);
      },
    };
    const source = memorySource([
      ['a', someTensor([5])],
      ['b', someTensor([3, 50])],
    ]);
    await exportNative(quantizingSource(source, ['b'], { strategy: 'zero-point' }), recording);
    // a, then codes, scale codes, nested absmax, nested offset, zero points of b, then the head.
    expect(written.length).toBe(7);
    expect(written.filter((offset) => offset % ALIGNMENT !== 0)).toEqual([]);
  });

  it('without tensors is a header and a directory', async () => {
    const file = await openQnat(bytesSource(await fileOf({}, { note: 'none' })));
    expect([file.tensors, file.json]).toEqual([[], { note: 'none' }]);
    expect((await fileOf({})).length).toBe(128);
  });

  it('keeps a configuration and a tokenizer as they are, strange keys included', async () => {
    const tokenizer = JSON.parse('{"model": {"vocab": {"__proto__": 0, "constructor": 1, "▁the": 2}}}');
    const config = { model_type: 'llama', rms_norm_eps: 1e-5, tie_word_embeddings: true };
    const file = await openQnat(bytesSource(await fileOf({}, { config, tokenizer, source: 'test' })));
    expect(JSON.stringify(file.json)).toBe(JSON.stringify({ config, tokenizer, source: 'test' }));
    expect(file.metadata).toEqual(new Map([['source', 'test']]));
  });

  it('is read from the place where it lies, at any offset in memory', async () => {
    const bytes = await fileOf({ w: someTensor([4]) });
    const shifted = new Uint8Array(bytes.length + 1).subarray(1);
    shifted.set(bytes);
    const [a, b] = await Promise.all(
      [bytes, shifted].map(async (raw) => readAll(await openQnat(bytesSource(raw)))),
    );
    expect(a).toEqual(b);
  });
});
