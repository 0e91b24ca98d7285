// What the tests of this package share.
import { readFileSync } from 'node:fs';
import { type QuantizedTensor, quantizeTensor } from '@qlora/quant-strategies';
import { bytesOf, memorySink, QloraError, type Tensor, type TensorSource, tensor } from '@qlora/tensor';
import type { JsonObject } from '../directory';
import type { QnatPlan } from '../layout';
import { qnatSink } from '../writer';

/** Bit patterns of f32 values, so that NaN equals NaN and −0 differs from 0. */
export const bits = (values: Iterable<number>): number[] => [
  ...new Uint32Array(Float32Array.from(values).buffer),
];

/** The bytes of every tensor, decoded where it is quantized. */
export async function readAll(source: TensorSource): Promise<Map<string, number[]>> {
  const all = new Map<string, number[]>();
  for (const { name } of source.tensors) all.set(name, [...bytesOf((await source.read(name)).data)]);
  return all;
}

/**
 * The rule by which `body` refuses, or `accepted`. Any other error comes through, so that a test fails on it.
 */
export async function ruleOf(body: () => Promise<unknown>): Promise<string> {
  try {
    await body();
  } catch (error) {
    if (error instanceof QloraError) return error.rule ?? `no rule: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

/** The file of some tensors, dense or quantized. */
export async function fileOf(
  tensors: Readonly<Record<string, Tensor | QuantizedTensor>>,
  metadata: JsonObject = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const sink = memorySink('test.qnat');
  const qnat = await qnatSink(
    sink,
    Object.entries(tensors).map(([name, tensor]) => planOf(name, tensor)),
    metadata,
  );
  for (const [name, tensor] of Object.entries(tensors)) await qnat.write(name, tensor);
  await qnat.finish();
  return sink.bytes().slice();
}

/** Everything that a quantized tensor holds, as bit patterns. */
export function partsOf({ codes, scales, zeroPoints, ...rest }: QuantizedTensor) {
  const packed =
    scales.kind === 'plain'
      ? bits(scales.values)
      : {
          ...scales.quantized,
          codes: [...scales.quantized.codes],
          nestedAbsmax: bits(scales.quantized.nestedAbsmax),
          map: bits(scales.quantized.map),
        };
  return { ...rest, codes: [...codes], packed, zeroPoints: zeroPoints && bits(zeroPoints) };
}

/** What a tensor is announced as. */
export function planOf(name: string, tensor: Tensor | QuantizedTensor): QnatPlan {
  const { dtype, shape } = tensor;
  if (!('codes' in tensor)) return { name, dtype, shape };
  const { codes: _, scales, zeroPoints: __, ...info } = tensor;
  return { name, dtype, shape, quantized: { ...info, doubleQuant: scales.kind === 'double' } };
}

/** Values from a formula, around zero, all different in size. */
export function someTensor(shape: readonly number[]): Tensor<'f32'> {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898) * (1 + i / 100));
  return tensor('f32', shape, values);
}

/** A dense tensor, an NF4 one with double quantization and one with zero points: one of every kind of section. */
export function threeTensors(): Record<string, Tensor | QuantizedTensor> {
  return {
    norm: someTensor([3]),
    weight: quantizeTensor(someTensor([4, 40])),
    'zero.point': quantizeTensor(someTensor([2, 33]), {
      strategy: 'zero-point',
      blockSize: 32,
      doubleQuant: false,
    }),
  };
}

/** The rules that sources of this package refuse by, sorted. */
export function rulesIn(...names: string[]): string[] {
  const rules = names.flatMap((name) => {
    const source = readFileSync(new URL(`../${name}.ts`, import.meta.url), 'utf8');
    return [...source.matchAll(/refuse\(\s*'([a-z0-9-]+)'/g)].map((match) => match[1] ?? '');
  });
  return [...new Set(rules)].sort();
}
