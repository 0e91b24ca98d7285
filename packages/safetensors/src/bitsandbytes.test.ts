// bitsandbytes' weights held to files that transformers and bitsandbytes saved and to what they decode from them
// (goldens/bitsandbytes, made by tooling/conformance/huggingface/checkpoints.py), and to forged states.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dequantizeToTensor, quantizeTensor, quantizingSource } from '@qlora/quant-strategies';
import {
  bytesOf,
  elementCount,
  memorySource,
  readRange,
  type Tensor,
  type TensorSource,
  tensor,
} from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bitsandbytesInfos,
  bitsandbytesScaleTensors,
  bitsandbytesSource,
  bitsandbytesTensors,
  bitsandbytesView,
  joinShards,
  parseQuantizationConfig,
  stateName,
  writeBitsandbytesConfig,
} from './index';
import { openSafetensorsFile, openSafetensorsFolder } from './node';

const goldens = fileURLToPath(new URL('./goldens/bitsandbytes/', import.meta.url));
const { versions: _, ...decoded } = JSON.parse(readFileSync(`${goldens}decoded.json`, 'utf8')) as Record<
  string,
  Record<string, string>
>;

function described({ dtype, shape, data }: Tensor): string {
  const hash = createHash('sha256').update(bytesOf(data)).digest('hex').slice(0, 16);
  return `${dtype} [${shape.join(', ')}] ${hash}`;
}

const open = (path: string) =>
  (path.endsWith('.safetensors') ? openSafetensorsFile : openSafetensorsFolder)(`${goldens}${path}`);

describe.each(Object.entries(decoded))('%s', (path, expected) => {
  it('decodes to the bytes that bitsandbytes decodes', async () => {
    const source = await bitsandbytesSource(await open(path));
    const found: Record<string, string> = {};
    for (const name of source.quantized.keys())
      found[name] = described(dequantizeToTensor(await source.readQuantized(name)));
    expect(found).toEqual(expected);
    await source.close();
  });
});

it('4-bit folders of transformers have a config that can be read', () => {
  const configs = Object.keys(decoded)
    .filter((path) => !path.endsWith('.safetensors'))
    .map((path) => {
      const { quantization_config: json } = JSON.parse(readFileSync(`${goldens}${path}/config.json`, 'utf8'));
      return parseQuantizationConfig(json);
    });
  expect(configs).toEqual([
    { scheme: 'nf4', doubleQuant: true, skippedModules: [] },
    { scheme: 'fp4', doubleQuant: false, skippedModules: [] },
    { scheme: 'nf4', doubleQuant: true, skippedModules: [], quantStorage: 'float16' },
  ]);
});

describe('a range of a weight', () => {
  it('is that part of the whole, whatever the block size, shape, type and storage', async () => {
    const source = await bitsandbytesSource(await open('every-kind.safetensors'));
    const wholes = new Map<string, Tensor>();
    for (const name of source.quantized.keys()) wholes.set(name, await source.read(name));
    const range = fc.tuple(fc.constantFrom(...wholes.keys()), fc.nat(10_000), fc.nat(10_000));
    await fc.assert(
      fc.asyncProperty(range, async ([name, from, length]) => {
        const whole = wholes.get(name)?.data as Float32Array;
        const start = from % (whole.length + 1);
        const count = length % (whole.length - start + 1);
        const part = await source.readRange(name, start, count);
        expect(part).toEqual({ dtype: 'f32', shape: [count], data: whole.slice(start, start + count) });
      }),
      { numRuns: 500 },
    );
    await source.close();
  });

  const weight = tensor(
    'f32',
    [64, 100],
    Float32Array.from({ length: 6400 }, (_, i) => Math.sin(i) * (1 + (i % 70))),
  );
  const parts = bitsandbytesTensors('w', quantizeTensor(weight));

  /** The parts as a source that counts what is read. */
  function counted(tensors: ReadonlyMap<string, Tensor> = parts) {
    const inner = memorySource(tensors);
    const reads: string[] = [];
    const source: TensorSource = {
      ...inner,
      async read(name) {
        reads.push(name);
        return inner.read(name);
      },
      async readRange(name, start, count) {
        reads.push(`${name} ${start} ${count}`);
        return readRange(inner, name, start, count);
      },
    };
    return { source, reads };
  }

  it('reads the codes of the blocks that it touches, and each scale once', async () => {
    const { source, reads } = counted(new Map([...parts, ['norm', tensor('f32', [4], new Float32Array(4))]]));
    const weights = await bitsandbytesSource(source);
    reads.length = 0;
    await Promise.all([weights.readRange('w', 130, 10), weights.readRange('w', 6390, 10)]);
    await weights.readRange('w', 100, 100);
    await weights.readRange('norm', 1, 2);
    expect(reads.filter((read) => /^w \d|^norm/.test(read))).toEqual([
      'w 64 32',
      'w 3168 32',
      'w 32 96',
      'norm 1 2',
    ]);
    expect(reads.filter((read) => read === 'w.absmax')).toHaveLength(1);
  });

  it('outside of the weight is refused', async () => {
    const weights = await bitsandbytesSource(counted().source);
    await expect(weights.readRange('w', 6300, 101)).rejects.toThrow(
      /w: values 6300 to 6401 were asked for, it has 6400/,
    );
    await expect(weights.readRange('x', 0, 1)).rejects.toThrow(/no tensor named "x"/);
  });

  it('is read again after its scales could not be read', async () => {
    const { source } = counted();
    let fails = true;
    const weights = await bitsandbytesSource({
      ...source,
      read: (name) => (fails && name === 'w.absmax' ? Promise.reject(new Error('disk')) : source.read(name)),
    });
    await expect(weights.readRange('w', 0, 1)).rejects.toThrow('disk');
    fails = false;
    const whole = (await weights.read('w')).data as Float32Array;
    expect((await weights.readRange('w', 0, 1)).data[0]).toBe(whole[0]);
  });

  it('comes out of a weight whose parts lie in different shards', async () => {
    const names = [...parts.keys()];
    const files = new Map(names.map((name, i) => [name, `model-${i}.safetensors`]));
    const shards = new Map(
      names.map((name) => [files.get(name) ?? '', memorySource([[name, parts.get(name) as Tensor]])]),
    );
    const weights = await bitsandbytesSource(joinShards('folder', shards, files));
    const plain = await bitsandbytesSource(memorySource(parts));
    expect(await weights.readRange('w', 33, 1000)).toEqual(await plain.readRange('w', 33, 1000));
    expect(await weights.readQuantized('w')).toEqual(await plain.readQuantized('w'));
  });

  it('of the tensors that it is written as is what they hold', async () => {
    const quantized = quantizingSource(memorySource([['w', weight]]), ['w']);
    const { source } = bitsandbytesView(quantized);
    for (const [name, part] of parts)
      expect((await readRange(source, name, 0, 1)).data).toEqual(part.data.slice(0, 1));
    expect((await readRange(source, 'w.absmax', 7, 9)).data).toEqual(
      parts.get('w.absmax')?.data.slice(7, 16),
    );
  });
});

describe('writing a weight', () => {
  const quantized = quantizeTensor(
    tensor(
      'bf16',
      [3, 50],
      Uint16Array.from({ length: 150 }, (_, i) => 0x3d00 + i),
    ),
  );

  it('gives scales and state without its codes', () => {
    const { codes: __, scales, ...info } = quantized;
    const parts = bitsandbytesTensors('w', quantized);
    parts.delete('w');
    expect(bitsandbytesScaleTensors('w', info, scales)).toEqual(parts);
  });

  it('announces what it gives, the state at a bound', () => {
    const parts = bitsandbytesTensors('w', quantized);
    for (const { name, dtype, shape } of bitsandbytesInfos('w', { ...quantized, doubleQuant: true })) {
      expect(parts.get(name)?.dtype).toBe(dtype);
      if (name === stateName('w', 'nf4'))
        expect(elementCount(parts.get(name)?.shape ?? [])).toBeLessThan(elementCount(shape));
      else expect(parts.get(name)?.shape).toEqual(shape);
    }
  });

  it('keeps nested blocks of another size, which came from a file', async () => {
    const source = await bitsandbytesSource(await open('every-kind.safetensors'));
    const name = 'small nested blocks.weight';
    const { source: view } = bitsandbytesView(source);
    const back = await bitsandbytesSource(view);
    expect(back.quantized.get(name)).toEqual(source.quantized.get(name));
    expect(back.quantized.get(name)?.nestedBlockSize).toBe(64);
    expect(await back.readQuantized(name)).toEqual(await source.readQuantized(name));
  });

  it.each([
    [{ scheme: 'other' }, /cannot hold a weight in other with blocks of 64/],
    [{ blockSize: 16 }, /cannot hold a weight in nf4 with blocks of 16/],
    [{ strategy: 'per-channel' }, /cannot hold a per-channel bf16 weight/],
    [{ dtype: 'f64' as const }, /cannot hold a blockwise f64 weight/],
  ])('refuses %o, which bitsandbytes does not have', (change, message) => {
    const info = { ...quantized, doubleQuant: true, ...change };
    expect(() => bitsandbytesInfos('w', info)).toThrow(message);
    expect(() => bitsandbytesScaleTensors('w', info, quantized.scales)).toThrow(message);
  });
});

describe('a stored weight', () => {
  const rows = 40;
  const weight = tensor(
    'f16',
    [rows, 32],
    Uint16Array.from({ length: rows * 32 }, (_, i) => 0x3800 + i),
  );
  const stored = bitsandbytesTensors('w', quantizeTensor(weight));
  const state = stateName('w', 'nf4');
  const json = JSON.parse(new TextDecoder().decode(stored.get(state)?.data as Uint8Array));
  const floats = (name: string) => (stored.get(name) as Tensor<'f32'>).data;
  const text = (value: string) => tensor('u8', [value.length], new TextEncoder().encode(value));

  /** Opens the weight with tensors exchanged, or taken away. */
  const openWith = (changes: Record<string, Tensor | undefined>) =>
    bitsandbytesSource(
      memorySource(
        [...stored, ...Object.entries(changes)].flatMap(([name, value]) => {
          const final = name in changes ? changes[name] : value;
          return final ? [[name, final] as const] : [];
        }),
        { label: 'file' },
      ),
    );
  const openState = (changes: object) => openWith({ [state]: text(JSON.stringify({ ...json, ...changes })) });

  it('is read with a codebook that is off in its last digits', async () => {
    const map = floats('w.quant_map').map((value) => value + 5e-7);
    const found = await openWith({ 'w.quant_map': tensor('f32', [16], map) });
    const same = await openWith({});
    expect(await found.readQuantized('w')).toEqual(await same.readQuantized('w'));
  });

  it('is read with another map of its nested scales, which counts', async () => {
    const map = floats('w.nested_quant_map').map((value) => value / 2);
    const found = await (await openWith({ 'w.nested_quant_map': tensor('f32', [256], map) })).readQuantized(
      'w',
    );
    expect(found.scales.kind === 'double' && found.scales.quantized.map).toEqual(map);
  });

  it.each<[string, object, RegExp]>([
    ['quant_type', { quant_type: 'fp4' }, /quant_type is "fp4"/],
    ['no quant_type', { quant_type: undefined }, /quant_type is missing/],
    ['blocksize', { blocksize: 48 }, /blocksize is 48. A power of two from 32 to 4096/],
    ['blocksize', { blocksize: '64' }, /blocksize is "64"/],
    ['another blocksize', { blocksize: 128 }, /absmax of w is u8 \[20\]. U8 with 10 elements/],
    ['dtype', { dtype: 'float64' }, /dtype is "float64"/],
    ['shape', { shape: null }, /shape is null/],
    ['shape', { shape: [rows, -32] }, /shape is \[40,-32\]/],
    ['shape', { shape: [2 ** 40, 2 ** 40] }, /shape is \[1099511627776,1099511627776\]/],
    ['another shape', { shape: [rows, 34] }, /the codes of w is u8 \[640, 1\]/],
    ['nested_blocksize', { nested_blocksize: 200 }, /nested_blocksize is 200. A power of two/],
    ['nested_blocksize', { nested_blocksize: 0 }, /nested_blocksize is 0/],
    ['nested_dtype', { nested_dtype: 'float16' }, /nested_dtype is "float16"/],
    ['nested_offset', { nested_offset: 1e39 }, /nested_offset is 1e\+39/],
    ['nested_offset', { nested_offset: null }, /nested_offset is null/],
    ['a long one', { quant_type: 'x'.repeat(1e4) }, /quant_type is "+x{199}"…/],
  ])('is refused for its %s', async (_, change, message) => {
    await expect(openState(change)).rejects.toThrow(message);
    await expect(openState(change)).rejects.toThrow(/^file/);
  });

  it.each<[string, Record<string, Tensor | undefined>, RegExp]>([
    ['no object', { [state]: text('7') }, /is no JSON object/],
    ['no JSON', { [state]: text('{"a"') }, /is no JSON/],
    ['no UTF-8', { [state]: tensor('u8', [1], Uint8Array.of(0xff)) }, /is no JSON/],
    ['no bytes', { [state]: tensor('f32', [1], Float32Array.of(1)) }, /is no small byte tensor/],
    ['large', { [state]: tensor('u8', [65537], new Uint8Array(65537)) }, /is no small byte tensor/],
    [
      'of an unknown scheme',
      { [stateName('w', 'int4')]: text('{}'), [state]: undefined },
      /scheme is "int4"/,
    ],
    ['there twice', { [stateName('w', 'fp4')]: text('{}') }, /is a second state of w/],
  ])('is refused for a state that is %s', async (_, changes, message) => {
    await expect(openWith(changes)).rejects.toThrow(message);
  });

  it.each<[string, Record<string, Tensor | undefined>, RegExp]>([
    ['codes', { w: undefined }, /the codes of w is missing/],
    ['codes', { w: tensor('f32', [159, 1], new Float32Array(159)) }, /the codes of w is f32 \[159, 1\]/],
    ['codebook', { 'w.quant_map': undefined }, /quant_map of w is missing/],
    [
      'codebook',
      { 'w.quant_map': tensor('f32', [15], new Float32Array(15)) },
      /quant_map of w is f32 \[15\]/,
    ],
    ['scales', { 'w.absmax': undefined }, /absmax of w is missing/],
    ['scales', { 'w.absmax': tensor('f32', [20], new Float32Array(20)) }, /absmax of w is f32 \[20\]/],
    ['nested map', { 'w.nested_quant_map': undefined }, /nested_quant_map of w is missing/],
    // Without nested scales the codes of scales are taken for scales.
    [
      'nested scales',
      { 'w.nested_absmax': undefined },
      /absmax of w is u8 \[20\]. F32 or f16 or bf16 with 20/,
    ],
  ])('is refused without its %s', async (_, changes, message) => {
    await expect(openWith(changes)).rejects.toThrow(message);
  });

  it.each<[string, string, Tensor, RegExp]>([
    ['codebook', 'quant_map', tensor('f32', [16], new Float32Array(16).fill(0.5)), /another codebook/],
    ['nested scales', 'nested_absmax', tensor('f32', [1], Float32Array.of(Number.NaN)), /value 0 is NaN/],
    [
      'nested map',
      'nested_quant_map',
      tensor('f32', [256], new Float32Array(256).fill(1 / 0)),
      /is Infinity/,
    ],
  ])('is refused for values of its %s when it is read', async (_, part, value, message) => {
    const source = await openWith({ [`w.${part}`]: value });
    await expect(source.readQuantized('w')).rejects.toThrow(message);
    await expect(source.read('w')).rejects.toThrow(message);
    await expect(source.readRange('w', 0, 1)).rejects.toThrow(message);
  });
});

describe('quantization_config', () => {
  const config = { scheme: 'nf4', doubleQuant: true, skippedModules: ['lm_head'] };

  it('comes back as it was written', () => {
    const json = writeBitsandbytesConfig(config);
    expect(parseQuantizationConfig(JSON.parse(JSON.stringify(json)))).toEqual(config);
    expect(json.llm_int8_skip_modules).toEqual(['lm_head']);
    expect(writeBitsandbytesConfig({ ...config, skippedModules: null }).llm_int8_skip_modules).toBeNull();
  });

  it.each([
    { load_in_4bit: true, bnb_4bit_quant_type: 'nf4', bnb_4bit_use_double_quant: true },
    {
      _load_in_4bit: true,
      _load_in_8bit: false,
      bnb_4bit_quant_type: 'nf4',
      bnb_4bit_use_double_quant: true,
    },
    {
      quant_method: 'bitsandbytes_4bit',
      load_in_4bit: true,
      load_in_8bit: false,
      bnb_4bit_quant_type: 'nf4',
      bnb_4bit_use_double_quant: true,
      bnb_4bit_quant_storage: 'uint8',
    },
  ])('is read as older versions wrote it, %#', (json) => {
    expect(parseQuantizationConfig({ ...json, llm_int8_skip_modules: ['lm_head'] })).toEqual(config);
  });

  it('is fp4 without double quantization where it does not say', () => {
    expect(parseQuantizationConfig({ quant_method: 'bitsandbytes', load_in_4bit: true })).toEqual({
      scheme: 'fp4',
      doubleQuant: false,
      skippedModules: [],
    });
  });

  it.each<[unknown, RegExp]>([
    [7, /quantization_config is no object/],
    [[], /quantization_config is no object/],
    [{}, /quant_method is missing/],
    [{ quant_method: 'x'.repeat(1e4) }, /quant_method is "+x{199}"…/],
    [{ load_in_8bit: true }, /load_in_4bit is missing/],
    [{ load_in_4bit: true, load_in_8bit: true }, /load_in_4bit is true/],
    [{ load_in_4bit: true, bnb_4bit_quant_type: 'int4' }, /bnb_4bit_quant_type is "int4"/],
    [{ load_in_4bit: true, bnb_4bit_quant_storage: 'complex64' }, /bnb_4bit_quant_storage is "complex64"/],
  ])('is refused where it says %j', (json, message) => {
    expect(() => parseQuantizationConfig(json)).toThrow(message);
  });
});
