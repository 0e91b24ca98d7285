// What the writer refuses, and what it leaves behind.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type QuantizedSource,
  type QuantizedTensor,
  quantizeTensor,
  quantizingSource,
  registerStrategy,
} from '@qlora/quant-strategies';
import {
  bytesOf,
  bytesSource,
  memorySink,
  memorySource,
  QloraError,
  RANGE_VALUES,
  type Tensor,
  type TensorSource,
  tensor,
} from '@qlora/tensor';
import { fileSink, fileSource } from '@qlora/tensor/node';
import { afterEach, describe, expect, it } from 'vitest';
import { exportNative } from './export';
import type { QnatPlan } from './layout';
import { openQnat } from './reader';
import { fileOf, planOf, readAll, ruleOf, someTensor, threeTensors } from './testing';
import { qnatSink } from './writer';

const open = (...plans: QnatPlan[]) => qnatSink(memorySink('out.qnat'), plans);

describe('a tensor that is not as announced is refused', () => {
  const values = someTensor([2, 64]);
  const quantized = quantizeTensor(values);
  const cases: [string, Tensor | QuantizedTensor, Tensor | QuantizedTensor, string][] = [
    ['kind', values, quantized, 'the tensor is quantized, dense was announced'],
    ['shape', values, someTensor([64, 2]), 'shape is [64, 2], [2, 64] was announced'],
    ['dtype', values, tensor('f16', [2, 64], new Uint16Array(128)), 'dtype is f16, f32 was announced'],
    ['scheme', quantized, quantizeTensor(values, { scheme: 'fp4' }), 'scheme is fp4, nf4 was announced'],
    [
      'strategy',
      quantized,
      quantizeTensor(values, { strategy: 'zero-point' }),
      'strategy is zero-point, blockwise was announced',
    ],
    [
      'scales',
      quantized,
      quantizeTensor(values, { doubleQuant: false }),
      'double quantization is false, true was announced',
    ],
    [
      'axis',
      quantizeTensor(values, { strategy: 'per-channel', axis: 1 }),
      quantizeTensor(values, { strategy: 'per-channel', axis: 0 }),
      'axis is 0, 1 was announced',
    ],
    [
      'block size',
      quantizeTensor(someTensor([32]), { blockSize: 32 }),
      quantizeTensor(someTensor([32]), { blockSize: 64 }),
      'block size is 64, 32 was announced',
    ],
    [
      'size',
      quantized,
      { ...quantized, codes: quantized.codes.subarray(1) },
      'the size of codes is 63, 64 was',
    ],
  ];
  it.each(cases)('%s', async (_, announced, given, message) => {
    const sink = await open(planOf('w', announced));
    await expect(sink.write('w', given)).rejects.toThrow(`out.qnat: w: ${message}`);
    await sink.write('w', announced);
  });

  it('when its scales are quantized with another map or block size than the format has', async () => {
    if (quantized.scales.kind !== 'double') throw new Error('not double quantized');
    const nested = quantized.scales.quantized;
    const sink = await open(planOf('w', quantized));
    const write = (change: Partial<typeof nested>) =>
      sink.write('w', { ...quantized, scales: { kind: 'double', quantized: { ...nested, ...change } } });
    await expect(write({ map: nested.map.map((value) => value * 0.5) })).rejects.toThrow(
      'dynamic8 was announced',
    );
    await expect(write({ blockSize: 128 })).rejects.toThrow('nested block size is 128');
  });

  it('when it was not announced, or is written twice, or is missing in the end', async () => {
    const sink = await open(planOf('w', values), planOf('v', values));
    await expect(sink.write('x', values)).rejects.toThrow('out.qnat: x: was not announced');
    await sink.write('w', values);
    await expect(sink.write('w', values)).rejects.toThrow('out.qnat: w: is written twice');
    await expect(sink.finish()).rejects.toThrow('out.qnat: 1 announced tensors were not written: v');
  });
});

describe('a tensor that comes in parts', () => {
  const quantized = quantizeTensor(someTensor([100]), {
    strategy: 'zero-point',
    blockSize: 32,
    doubleQuant: false,
  });
  const dense = someTensor([5]);
  const plans = [planOf('d', dense), planOf('q', quantized)];
  const scales = quantized.scales.kind === 'plain' ? bytesOf(quantized.scales.values) : new Uint8Array(0);
  const zeros = bytesOf(quantized.zeroPoints ?? new Float32Array(0));
  const part = (start: number, end: number) => tensor('f32', [end - start], dense.data.slice(start, end));

  it('is the same file, in whatever order the parts come', async () => {
    const bytes = memorySink();
    const sink = await qnatSink(bytes, plans);
    await sink.writeSection('q', 'zero_points', 0, zeros);
    await sink.writeRange('d', 3, part(3, 5));
    await sink.writeSection('q', 'codes', 10, quantized.codes.subarray(10));
    await sink.writeRange('d', 0, part(0, 1));
    await sink.writeSection('q', 'scales', 8, scales.subarray(8));
    await sink.writeSection('q', 'scales', 0, scales.subarray(0, 8));
    await expect(sink.finish()).rejects.toThrow('2 announced tensors were not written: d');
    await sink.writeRange('d', 1, part(1, 3));
    await sink.writeSection('q', 'codes', 0, quantized.codes.subarray(0, 10));
    await sink.finish();
    expect(bytes.bytes()).toEqual(await fileOf({ d: dense, q: quantized }));
  });

  it('is refused where parts overlap, lie outside, are of another type, or of a section that is not', async () => {
    const sink = await open(...plans);
    await sink.writeRange('d', 0, part(0, 2));
    await expect(sink.writeRange('d', 1, part(1, 3))).rejects.toThrow(
      'out.qnat: d: 8 bytes came for byte 4 of values, which has 20, 8 of them written. Write each byte once.',
    );
    await expect(sink.writeRange('d', 4, part(3, 5))).rejects.toThrow('for byte 16 of values');
    await expect(sink.writeRange('d', 2, someTensorOf('i32'))).rejects.toThrow(
      'i32 values came, f32 was announced',
    );
    await expect(sink.writeRange('q', 0, dense)).rejects.toThrow('a quantized tensor was announced');
    await expect(sink.writeSection('q', 'scale_codes', 0, zeros)).rejects.toThrow(
      'q: has no section "scale_codes"',
    );
    await expect(sink.writeSection('x', 'codes', 0, zeros)).rejects.toThrow('x: was not announced');
    await expect(sink.write('d', dense)).rejects.toThrow('d: is written twice');
    await sink.writeRange('d', 2, part(2, 5));
    await expect(sink.write('d', dense)).rejects.toThrow('d: is written twice');
  });

  const someTensorOf = (dtype: 'i32') => tensor(dtype, [1], new Int32Array(1));
});

describe('a plan that no reader would take is refused before anything is written', () => {
  const plan = planOf('w', someTensor([2, 3]));
  const info = {
    scheme: 'nf4',
    strategy: 'blockwise',
    blockSize: 64,
    doubleQuant: true,
    shape: [2, 3],
    dtype: 'f32',
  } as const;
  const quantized = (change: object): QnatPlan => ({ ...plan, quantized: { ...info, ...change } });
  const cases: [string, QnatPlan[]][] = [
    ['qnat/duplicate-name', [plan, plan]],
    ['qnat/name', [{ ...plan, name: '' }]],
    ['qnat/name', [{ ...plan, name: 'x'.repeat(1025) }]],
    ['qnat/directory-text', [{ ...plan, name: '\ud800' }]],
    ['qnat/shape', [{ ...plan, shape: new Array(17).fill(1) }]],
    ['qnat/overflow', [{ ...plan, shape: [2 ** 52] }]],
    ['qnat/block-size', [quantized({ blockSize: 0.5 })]],
    ['qnat/quantized-dtype', [quantized({ dtype: 'u8' })]],
  ];
  it.each(cases)('%s', async (rule, plans) => {
    const sink = memorySink();
    expect(await ruleOf(() => qnatSink(sink, plans))).toBe(rule);
    await sink.finish();
    expect(sink.bytes().length).toBe(0);
  });

  it('because of a strategy whose layout the format does not know', async () => {
    registerStrategy({
      name: 'by-row',
      quantize: () => quantizeTensor(someTensor([1])),
      dequantize: () => new Float32Array(1),
    });
    await expect(open(quantized({ strategy: 'by-row' }))).rejects.toThrow(
      'QNAT has no layout for the strategy "by-row"',
    );
  });

  it('because of an axis that the shape lacks, or a scheme that nobody knows', async () => {
    await expect(open(quantized({ strategy: 'per-channel', axis: 2 }))).rejects.toThrow('has no axis 2');
    await expect(open(quantized({ scheme: 'nf5' }))).rejects.toThrow('no codec named "nf5"');
  });

  it('because of metadata that is no JSON', async () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    for (const metadata of [circle, { big: 1n }])
      await expect(qnatSink(memorySink('out.qnat'), [], metadata)).rejects.toThrow(QloraError);
  });
});

describe('exportNative', () => {
  const folder = mkdtempSync(join(tmpdir(), 'qnat-'));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('writes a file and reports each tensor', async () => {
    const path = join(folder, 'sub', 'model.qnat');
    const seen: string[] = [];
    const source = memorySource(Object.entries({ a: someTensor([2]), b: someTensor([3]) }), {
      label: 'memory',
    });
    await exportNative(source, await fileSink(path), {
      metadata: { name: 'test' },
      onTensor: ({ name }, index, total) => seen.push(`${name} ${index + 1}/${total}`),
    });
    expect(seen).toEqual(['a 1/2', 'b 2/2']);
    const file = await openQnat(await fileSource(path));
    expect(await readAll(file)).toEqual(await readAll(source));
    await file.close();
  });

  it('writes range by range what whole tensors would give, bit for bit', async () => {
    // More than one range of each, with ends that are no whole blocks.
    const shape = [1030, 4099];
    const count = 1030 * 4099;
    const valuesOf = (start: number, length: number) =>
      tensor(
        'f32',
        [length],
        Float32Array.from({ length }, (_, i) => Math.sin((start + i) * 0.7) + ((start + i) % 13) / 10),
      );
    let most = 0;
    let flying = 0;
    let mostFlying = 0;
    const source: TensorSource = {
      label: 'formula',
      metadata: new Map(),
      tensors: ['dense', 'w'].map((name) => ({ name, dtype: 'f32', shape })),
      read: () => Promise.reject(new Error('read whole')),
      async readRange(_, start, length) {
        most = Math.max(most, length);
        mostFlying = Math.max(mostFlying, ++flying);
        await new Promise((resolve) => setTimeout(resolve, 1));
        flying--;
        return valuesOf(start, length);
      },
      close: async () => {},
    };
    const whole = { ...valuesOf(0, count), shape };
    for (const [strategy, doubleQuant] of [
      ['blockwise', true],
      ['per-channel', false],
      ['zero-point', true],
    ] as const) {
      const config = { strategy, doubleQuant };
      const parts = memorySink();
      await exportNative(quantizingSource(source, ['w'], config), parts, { slots: 2 });
      const atOnce = memorySink();
      const quantized = quantizeTensor(whole, config);
      const sink = await qnatSink(atOnce, [planOf('dense', whole), planOf('w', quantized)]);
      await sink.write('dense', whole);
      await sink.write('w', quantized);
      await sink.finish();
      expect([strategy, Buffer.compare(parts.bytes(), atOnce.bytes())]).toEqual([strategy, 0]);
    }
    expect(most).toBeLessThanOrEqual(RANGE_VALUES);
    expect(mostFlying).toBeLessThanOrEqual(2);
  });

  it('holds one tensor at a time of those that are in 4 bits already', async () => {
    const file = await openQnat(bytesSource(await fileOf(threeTensors())));
    let flying = 0;
    let most = 0;
    const source: QuantizedSource = {
      ...file,
      async readQuantized(name) {
        most = Math.max(most, ++flying);
        await new Promise((resolve) => setTimeout(resolve, 1));
        flying--;
        return file.readQuantized(name);
      },
    };
    const copy = memorySink();
    await exportNative(source, copy);
    expect(most).toBe(1);
    expect(await readAll(await openQnat(bytesSource(copy.bytes())))).toEqual(await readAll(file));
  });

  it('says how far it is', async () => {
    const source = memorySource(Object.entries({ a: someTensor([2]), b: someTensor([3, 64]) }));
    const seen: unknown[] = [];
    await exportNative(quantizingSource(source, ['b']), memorySink(), { onProgress: (at) => seen.push(at) });
    expect(seen.at(-1)).toEqual({ bytes: 776, totalBytes: 776, tensors: 2, totalTensors: 2 });
  });

  it('leaves nothing when the source fails', async () => {
    const inner = memorySource(Object.entries({ a: someTensor([2]), b: someTensor([3]) }));
    const read = async (name: string) => {
      if (name === 'b') throw new QloraError({ what: 'is damaged', where: name });
      return inner.read(name);
    };
    const readRange = async (name: string) => read(name);
    await expect(
      exportNative({ ...inner, read, readRange }, await fileSink(join(folder, 'x.qnat'))),
    ).rejects.toThrow('b: is damaged');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('copies an open file, quantized tensors and all', async () => {
    const sink = memorySink();
    const tensors = threeTensors();
    const qnat = await qnatSink(
      sink,
      Object.entries(tensors).map(([name, value]) => planOf(name, value)),
      { note: 'copy' },
    );
    for (const [name, value] of Object.entries(tensors)) await qnat.write(name, value);
    await qnat.finish();
    const file = await openQnat(bytesSource(sink.bytes()));
    const copy = memorySink();
    await exportNative(file, copy, { metadata: file.json });
    expect(copy.bytes()).toEqual(sink.bytes());
  });
});
