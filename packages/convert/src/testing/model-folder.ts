// Small model folders for tests: a Llama in outline, with random weights.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { safetensorsSink } from '@qlora/safetensors';
import { fromFloat32, memorySource, pump, random, type Tensor } from '@qlora/tensor';
import { fileSink } from '@qlora/tensor/node';

/** Options of {@link makeModel}. */
export interface MadeModel {
  readonly dtype?: 'f32' | 'f16' | 'bf16';
  readonly seed?: number;
  readonly layers?: number;
  readonly hidden?: number;
  readonly wide?: number;
  /** Changes values after they were drawn. */
  readonly spoil?: (name: string, values: Float32Array) => void;
}

/** The tensors of the model. Shapes are odd on purpose: blocks run over row ends. */
export function modelTensors(options: MadeModel = {}): Map<string, Tensor> {
  const { dtype = 'bf16', seed = 1, layers = 2, hidden = 36, wide = 50, spoil } = options;
  const shapes = new Map<string, number[]>([['model.embed_tokens.weight', [40, hidden]]]);
  for (let i = 0; i < layers; i++) {
    shapes.set(`model.layers.${i}.self_attn.q_proj.weight`, [hidden, hidden]);
    shapes.set(`model.layers.${i}.mlp.up_proj.weight`, [wide, hidden]);
    shapes.set(`model.layers.${i}.mlp.down_proj.weight`, [hidden, wide]);
    shapes.set(`model.layers.${i}.input_layernorm.weight`, [hidden]);
  }
  shapes.set('lm_head.weight', [40, hidden]);
  const rng = random(seed);
  return new Map(
    [...shapes].map(([name, shape]) => {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      for (let i = 0; i < values.length; i++) values[i] = 0.02 * rng.normal();
      spoil?.(name, values);
      return [name, fromFloat32(dtype, shape, values)];
    }),
  );
}

/** Writes the folder of the model. */
export async function makeModel(folder: string, options: MadeModel = {}): Promise<Map<string, Tensor>> {
  const tensors = modelTensors(options);
  await writeModel(folder, tensors, { model_type: 'llama', vocab_size: 40 });
  return tensors;
}

/** Writes a folder with these tensors, a tokenizer, and weights in another format. */
export async function writeModel(
  folder: string,
  tensors: ReadonlyMap<string, Tensor>,
  config: Readonly<Record<string, unknown>>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const source = memorySource(tensors);
  const sink = await safetensorsSink(await fileSink(join(folder, 'model.safetensors')), source.tensors);
  await pump(source, sink);
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'tokenizer.json'), '{"version":"1.0"}');
  await writeFile(join(folder, 'pytorch_model.bin'), 'weights in another format');
}
