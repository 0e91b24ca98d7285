// Files that the writer of this package makes, for the reference implementation to read.
import { quantizingSource } from '@qlora/quant-strategies';
import {
  bytesOf,
  DTYPES,
  type DType,
  elementCount,
  memorySink,
  memorySource,
  pump,
  random,
  type Tensor,
  type TensorSource,
  tensor,
  zeros,
} from '@qlora/tensor';
import { bitsandbytesView, safetensorsSink } from '../index';

/** A file and what is in it. */
export interface OurFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

const rng = random(5);

function noise(dtype: DType, shape: readonly number[]): Tensor {
  const data = zeros(dtype, elementCount(shape));
  const bytes = bytesOf(data);
  for (let i = 0; i < bytes.length; i++) bytes[i] = rng.integer(dtype === 'bool' ? 2 : 256);
  return tensor(dtype, shape, data);
}

async function write(name: string, source: TensorSource, late?: ReadonlySet<string>): Promise<OurFile> {
  const sink = memorySink(name);
  const options = { metadata: source.metadata, ...(late ? { late } : {}) };
  await pump(source, await safetensorsSink(sink, source.tensors, options));
  const tensors = new Map<string, Tensor>();
  for (const info of source.tensors) tensors.set(info.name, await source.read(info.name));
  return { name, bytes: sink.bytes(), metadata: source.metadata, tensors };
}

/** A file whose values are written part by part, the last part first. */
async function writeInParts(name: string, tensors: readonly (readonly [string, Tensor])[]): Promise<OurFile> {
  const sink = memorySink(name);
  const infos = tensors.map(([key, { dtype, shape }]) => ({ name: key, dtype, shape }));
  const file = await safetensorsSink(sink, infos);
  for (const [key, { dtype, data }] of tensors) {
    for (let start = data.length - (data.length % 5 || 5); start >= 0; start -= 5) {
      const part = data.subarray(start, start + 5) as Tensor['data'];
      await file.writeRange(key, start, { dtype, shape: [part.length], data: part });
    }
  }
  await file.finish();
  return { name, bytes: sink.bytes(), metadata: new Map(), tensors: new Map(tensors) };
}

/** All of them. Names are unique. */
export async function ourFiles(): Promise<readonly OurFile[]> {
  const make = (
    name: string,
    tensors: readonly (readonly [string, Tensor])[],
    metadata: readonly (readonly [string, string])[] = [],
  ) => write(name, memorySource(tensors, { metadata }));
  const dense = memorySource(
    [
      ['layer.weight', fromNormal([12, 64])],
      ['layer.bias', noise('bf16', [12])],
    ],
    { metadata: [['format', 'pt']] },
  );
  const quantized = bitsandbytesView(quantizingSource(dense, ['layer.weight']));
  return [
    await make('no tensors', []),
    await make('no tensors, but metadata', [], [['format', 'pt']]),
    await make(
      'every dtype',
      DTYPES.map((dtype) => [dtype, noise(dtype, [3, 5])]),
    ),
    await make(
      'every dtype, one value',
      DTYPES.map((dtype) => [dtype, noise(dtype, [])]),
    ),
    await make(
      'every dtype, no value',
      DTYPES.map((dtype) => [dtype, noise(dtype, [4, 0])]),
    ),
    await make(
      'odd lengths of all dtypes together',
      Array.from({ length: 60 }, (_, i) => [
        `t${i}`,
        noise(DTYPES[i % DTYPES.length] as DType, [1 + (i % 7)]),
      ]),
    ),
    await make(
      'many tensors',
      Array.from({ length: 5000 }, (_, i) => [`model.layers.${i}.weight`, noise('f16', [i % 3, 2])]),
    ),
    await make('many axes', [['a', noise('u8', Array(60).fill(1))]]),
    await make(
      'odd names',
      [
        '',
        ' ',
        '0',
        '1',
        '__proto__',
        'constructor',
        'é',
        '😀',
        '\ufeff',
        '\0\n\x1f\x7f',
        '"\\/',
        'x'.repeat(5000),
      ].map((name) => [name, noise('u8', [2])]),
    ),
    await make(
      'odd metadata',
      [['a', noise('i32', [2])]],
      [
        ['', ''],
        ['__proto__', '{"a": [1, "\\u0000"]}'],
        ['constructor', '\0\b\t\n\f\r"\\/\x7f\u2028'],
        ['é😀\ufeff', 'é😀\ufeff'],
        ['long', 'x'.repeat(100_000)],
      ],
    ),
    await write('weights of bitsandbytes', quantized.source, quantized.late),
    await writeInParts('values written in parts', [
      ['a', noise('f32', [4, 6])],
      ['b', noise('bf16', [11])],
      ['c', noise('u8', [5])],
    ]),
  ];
}

function fromNormal(shape: readonly number[]): Tensor {
  return tensor(
    'f32',
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => rng.normal()),
  );
}
