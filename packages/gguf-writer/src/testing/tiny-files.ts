// Files of tiny models: their tensors from a seed, and what our exporter makes of them.
import { blockTypeOf } from '@qlora/ggml-blocks';
import {
  bytesSource,
  elementCount,
  f32ArrayToBf16,
  f32ArrayToF16,
  memorySink,
  memorySource,
  random,
  type Tensor,
  tensor,
} from '@qlora/tensor';
import { exportGguf } from '../export';
import { ConfigReader } from '../families/config';
import { ggufFamilyOf } from '../families/registry';
import { readImatrix } from '../imatrix';
import type { GgufType } from '../recipes';
import { type GgufPart, ggufPartName } from '../split';
import { type GgufValue, list, text, u32 } from '../value';
import { ggufSink } from '../writer';
import type { TinyModel } from './tiny-models';

/** The tensors of a model by the names in its file, normal values by a seed of its own. */
export function tinyTensors(model: TinyModel): [string, Tensor][] {
  const described = ggufFamilyOf(model.config).describe(new ConfigReader(model.config));
  const rename = model.rename ?? ((name) => name);
  const shapes = new Map<string, readonly number[]>([
    ...[...described.tensors].map(([name, { shape }]) => [rename(name), shape] as const),
    ...Object.entries(model.dropped ?? {}),
  ]);
  const { uniform } = random(
    [...model.name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) >>> 0,
  );
  return [...shapes].map(([name, shape]): [string, Tensor] => {
    const values = Float32Array.from({ length: elementCount(shape) }, () => {
      // A sum of uniform numbers, not a cosine: the same bits on every machine.
      const value = (uniform() + uniform() + uniform() - 1.5) * 0.08 * (model.spread ?? 1);
      return value + (name.endsWith('norm.weight') ? 0.5 : 0);
    });
    if (model.dtype === 'f32') return [name, tensor('f32', shape, values)];
    if (model.dtype === 'f16') return [name, tensor('f16', shape, f32ArrayToF16(values))];
    return [name, tensor('bf16', shape, f32ArrayToBf16(values))];
  });
}

/** An importance matrix of a model, random, one tensor left out; as the file that llama-imatrix would write. */
export async function tinyImatrix(model: TinyModel): Promise<Uint8Array> {
  const described = ggufFamilyOf(model.config).describe(new ConfigReader(model.config));
  const matrices = [...described.tensors.values()].filter(
    ({ name, shape }) => shape.length === 2 && name !== 'blk.1.attn_q.weight' && name !== 'token_embd.weight',
  );
  const { uniform } = random(11);
  const tensors = matrices.flatMap(({ name, shape: [, columns = 0] }) => [
    { name: `${name}.in_sum2`, values: Float32Array.from({ length: columns }, () => 40 * uniform() ** 2) },
    { name: `${name}.counts`, values: Float32Array.of(7) },
  ]);
  const metadata = new Map<string, GgufValue>([
    ['general.type', text('imatrix')],
    ['imatrix.datasets', list('string', ['random numbers'])],
    ['imatrix.chunk_count', u32(7)],
    ['imatrix.chunk_size', u32(512)],
  ]);
  const file = memorySink('imatrix.gguf');
  // Two axes, as llama-imatrix has them: counts for matrices, of which there is one.
  const shaped = tensors.map(({ name, values }) => ({
    name,
    values: tensor('f32', [1, values.length], values),
  }));
  const plans = shaped.map(({ name, values }) => ({ name, shape: values.shape, type: blockTypeOf('f32') }));
  const sink = await ggufSink(file, { metadata, tensors: plans });
  for (const { name, values } of shaped) await sink.write(name, values);
  await sink.finish();
  return file.bytes();
}

/** Our file of a model. @param imatrix bytes of its importance matrix, if it is used. */
export async function tinyGguf(model: TinyModel, type: GgufType, imatrix?: Uint8Array): Promise<Uint8Array> {
  const bytes = memorySink(`${model.name}-${type}.gguf`);
  const { name, config, tokenizer } = model;
  const source = memorySource(tinyTensors(model));
  const importance = imatrix && { imatrix: await readImatrix(bytesSource(imatrix)), file: 'imatrix.gguf' };
  await exportGguf({ source, config, tokenizer, type, name, importance }, bytes);
  return bytes.bytes();
}

/** Our files of a model that is split: their names and bytes. */
export async function tinyParts(
  model: TinyModel,
  type: GgufType,
  maxSize: number,
): Promise<{ name: string; bytes: Uint8Array }[]> {
  const sinks: ReturnType<typeof memorySink>[] = [];
  const { name, config, tokenizer } = model;
  const open = async (part: GgufPart) => {
    const sink = memorySink(ggufPartName(`${name}.gguf`, part));
    sinks.push(sink);
    return sink;
  };
  const source = memorySource(tinyTensors(model));
  await exportGguf({ source, config, tokenizer, type, name }, { open, maxSize });
  return sinks.map((sink) => ({ name: sink.label, bytes: sink.bytes() }));
}
