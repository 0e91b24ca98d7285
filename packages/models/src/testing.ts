// What the tests of this package share: a random tiny Llama in memory.
import { Tape } from '@qlora/autograd';
import type { Backend } from '@qlora/backend';
import { memorySource, random, type Tensor, tensor } from '@qlora/tensor';
import { type LlamaConfig, parseLlamaConfig } from './config';
import type { LlamaModel } from './llama';
import { llamaFamily, llamaTensors } from './llama-family';

/** The JSON of a small Llama's config: two layers, four heads that share two keys, 20 tokens, a context of 24. */
export const tinyConfigJson = {
  model_type: 'llama',
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 20,
  max_position_embeddings: 24,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
  bos_token_id: 1,
};

/** Random tensors of a config, large enough that logits differ clearly. */
export function randomTensors(config: LlamaConfig, seed = 1): Map<string, Tensor> {
  const rng = random(seed);
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of llamaTensors(config)) {
    const count = shape.reduce((a, b) => a * b, 1);
    // Layers that outweigh the embeddings, so that the model does not just repeat its last token.
    const spread = name.includes('embed') ? 0.3 : 1;
    const values = Float32Array.from({ length: count }, () => spread * rng.normal());
    tensors.set(name, tensor('f32', shape, values));
  }
  return tensors;
}

/** A model of {@link tinyConfigJson} with some fields changed. */
export function tinyModel(
  backend: Backend,
  edit: Readonly<Record<string, unknown>> = {},
  tensors?: ReadonlyMap<string, Tensor>,
): Promise<LlamaModel> {
  const config = parseLlamaConfig({ ...tinyConfigJson, ...edit });
  return llamaFamily.build(backend, config, memorySource(tensors ?? randomTensors(config)));
}

/** Logits of every position, by rows, from one pass without a cache. */
export async function allLogits(model: LlamaModel, ids: readonly number[]): Promise<Float32Array[]> {
  const { backend, config } = model;
  const tape = new Tape(backend, { record: false });
  const hidden = model.hidden(tape, backend.upload(Int32Array.from(ids), [ids.length]), {
    batch: 1,
    sequenceLength: ids.length,
  });
  const flat = await backend.read(model.logits(tape, hidden).value);
  const size = config.vocabularySize;
  return ids.map((_, row) => flat.subarray(row * size, (row + 1) * size));
}
