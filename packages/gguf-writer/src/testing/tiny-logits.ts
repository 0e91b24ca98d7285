// What llama.cpp computes with our file of a tiny model, beside what transformers computes (goldens/logits.json).
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { memorySink, memorySource, type Tensor } from '@qlora/tensor';
import { loadGguf } from '@qlora-tooling/llama-cpp';
import { exportGguf } from '../export';
import type { ConfigJson } from '../families/config';
import type { GgufType } from '../recipes';
import { tinyTensors } from './tiny-files';
import type { TinyModel } from './tiny-models';

interface Computed {
  readonly crossEntropy: number;
  readonly losses: readonly number[];
  readonly top: readonly (readonly [id: number, logProbability: number])[];
}

const golden = JSON.parse(readFileSync(new URL('../goldens/logits.json', import.meta.url), 'utf8')) as {
  models: Record<string, Computed & { ids: number[]; rounded?: Computed }>;
};

/** How a model is run, and what is spoilt of it before it is exported. */
export interface LogitsRun {
  readonly type?: GgufType;
  readonly cache?: 'f16' | 'f32';
  readonly contextSize?: number;
  /** Fields of config.json that the exporter sees otherwise. */
  readonly config?: ConfigJson;
  /** Tensors that it sees otherwise. */
  readonly tensor?: (name: string, tensor: Tensor) => Tensor;
  /** Compare with a transformers that rounds its GELU to f16 as ggml does, where the golden has that. */
  readonly rounded?: boolean;
}

/** How far llama.cpp is from transformers, in nats. */
export interface Distance {
  /** Mean cross entropy. */
  readonly crossEntropy: number;
  /** The negative log likelihood of the id where it is farthest. */
  readonly loss: number;
  /** The log probability of the likeliest eight ids after the last, the farthest of them. */
  readonly top: number;
}

/** Exports a model into a folder, runs it, and compares. */
export async function logitsDistance(
  folder: string,
  model: TinyModel,
  run: LogitsRun = {},
): Promise<Distance> {
  const { type = 'f32', cache = 'f32', contextSize = 512, config, tensor = (_, same) => same } = run;
  const found = golden.models[model.name];
  if (!found) throw new Error(`no golden of ${model.name}`);
  const { ids } = found;
  const expected = run.rounded ? (found.rounded ?? found) : found;
  const { name, tokenizer } = model;
  const source = memorySource(tinyTensors(model).map(([key, value]) => [key, tensor(key, value)]));
  const sink = memorySink('model.gguf');
  await exportGguf({ source, config: { ...model.config, ...config }, tokenizer, type, name }, sink);
  const path = join(folder, `${name}.gguf`);
  writeFileSync(path, sink.bytes());
  const loaded = await loadGguf(path, { cache, contextSize });
  const rows = (await loaded.logits(ids)).map(logProbabilities);
  await loaded.dispose();
  const losses = expected.losses.map((_, i) => -(rows[i]?.[ids[i + 1] ?? -1] ?? Number.NaN));
  const last = rows.at(-1);
  return {
    crossEntropy: Math.abs(losses.reduce((a, b) => a + b) / losses.length - expected.crossEntropy),
    loss: farthest(losses, expected.losses),
    top: farthest(
      expected.top.map(([id]) => last?.[id] ?? Number.NaN),
      expected.top.map(([, value]) => value),
    ),
  };
}

const farthest = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN))));

function logProbabilities(logits: Float32Array): Float64Array {
  const max = logits.reduce((a, b) => Math.max(a, b));
  const log = max + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  return Float64Array.from(logits, (logit) => logit - log);
}
