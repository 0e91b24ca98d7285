// Tiny LoRA adapters as PEFT saved them: configuration, keys and shapes from goldens/lora.json, values by the rule that
// tooling/conformance/llama-cpp/lora.py has too.
import { readFileSync } from 'node:fs';
import {
  elementCount,
  f32ArrayToBf16,
  f32ArrayToF16,
  memorySink,
  memorySource,
  type Shape,
  type Tensor,
  tensor,
} from '@qlora/tensor';
import { exportLoraGguf, type LoraGgufExport } from '../lora';
import type { LoraGgufModule, LoraGgufType } from '../lora-contract';
import { type TinyModel, tinyModels } from './tiny-models';

/** What the golden says of an adapter. */
export interface TinyLora {
  /** Name of the tiny model. */
  readonly model: string;
  /** adapter_config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: readonly (readonly [key: string, dtype: 'f32' | 'f16' | 'bf16', shape: Shape])[];
  /** What PEFT multiplies B·A by, by module. */
  readonly scaling: Readonly<Record<string, number>>;
  /** Digests of the converter's tensors. */
  readonly types: Readonly<Record<LoraGgufType, string>>;
  /** The converter's metadata, the keys left out that differ on purpose. */
  readonly metadata: Readonly<Record<string, readonly [type: string, value: unknown]>>;
  /** PEFT's logits of the first 40 tokens after the golden's ids. */
  readonly logits: readonly number[];
  /** The same without the adapter. */
  readonly plain: readonly number[];
  /** How far the adapter moves logits, at most. */
  readonly moved: number;
}

const golden = JSON.parse(readFileSync(new URL('../goldens/lora.json', import.meta.url), 'utf8')) as {
  ids: number[];
  adapters: Record<string, TinyLora>;
};

/** All of them by name. */
export const tinyLoras: readonly [name: string, lora: TinyLora][] = Object.entries(golden.adapters);
/** The tokens whose logits the golden has. */
export const loraIds: readonly number[] = golden.ids;

/** Numbers in ±0.1 by key and place. */
function values(key: string, shape: Shape): Float32Array {
  let seed = 7;
  for (const letter of key) seed = (Math.imul(seed, 31) + letter.charCodeAt(0)) >>> 0;
  return Float32Array.from({ length: elementCount(shape) }, (_, i) => {
    const mixed = (Math.imul(Math.imul(i, i), 2246822519) + Math.imul(i, 2654435761) + seed) >>> 0;
    return (mixed / 2 ** 32 - 0.5) * 0.2;
  });
}

/** The tensors of an adapter by PEFT's keys. */
export function loraTensors({ tensors }: TinyLora): Map<string, Tensor> {
  return new Map(
    tensors.map(([key, dtype, shape]): [string, Tensor] => {
      const wide = values(key, shape);
      if (dtype === 'f32') return [key, tensor('f32', shape, wide)];
      if (dtype === 'f16') return [key, tensor('f16', shape, f32ArrayToF16(wide))];
      return [key, tensor('bf16', shape, f32ArrayToBf16(wide))];
    }),
  );
}

/** The model that an adapter is of. */
export function modelOf({ model }: TinyLora): TinyModel {
  const found = tinyModels.find(({ name }) => name === model);
  if (!found) throw new Error(`no tiny model ${model}`);
  return found;
}

/** Its modules, with PEFT's scaling. */
export function loraModulesOf({ tensors, scaling }: TinyLora): LoraGgufModule[] {
  return tensors.flatMap(([key]) => {
    const [, name = '', end = ''] = /^base_model\.model\.(.+)\.lora_(.+)$/.exec(key) ?? [];
    if (!end.includes('A')) return [];
    const b = key.replace(/A(\.weight)?$/, 'B$1');
    return [{ name, a: key, b, scaling: scaling[name] ?? Number.NaN }];
  });
}

/** Our file of an adapter. */
export async function tinyLoraGguf(
  lora: TinyLora,
  type: LoraGgufType,
): Promise<{ bytes: Uint8Array; result: LoraGgufExport }> {
  const sink = memorySink('lora.gguf');
  const source = memorySource(loraTensors(lora));
  const { config } = modelOf(lora);
  const modules = loraModulesOf(lora);
  const result = await exportLoraGguf({ source, modules, config, type, name: 'lora' }, sink);
  return { bytes: sink.bytes(), result };
}
