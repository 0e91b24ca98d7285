// A training step and an evaluation of a Llama with random weights. The weights are made tensor by tensor and quantized at
// once, as a checkpoint is read, so that the dense model is never in memory.
import { addLora, type LlamaConfig, llamaFamily, llamaTensors, parseLlamaConfig } from '@qlora/models';
import { loraConfig } from '@qlora/peft';
import { quantizingSource } from '@qlora/quant-strategies';
import { findTensor, random, type TensorSource, tensor } from '@qlora/tensor';
import { evaluate, QLoRATrainer, textWindows } from '@qlora/trainer';
import type { PreparedJob } from '../../peers/serve.mjs';
import { normals } from '../data';
import type { Job, ModelShape } from '../job';
import { readyBackend } from './backend';

type ModelJob = Extract<Job, { kind: 'training' | 'evaluation' }>;

/** A step of the trainer, or an evaluation of one sequence. */
export async function modelJob(job: ModelJob): Promise<PreparedJob> {
  const backend = await readyBackend();
  const config = configOf(job.model);
  const linears = llamaFamily.linearModules(config).map((name) => `${name}.weight`);
  const source = quantizingSource(randomSource(config), linears, { doubleQuant: true });
  const model = await llamaFamily.build(backend, config, source);
  const parameters = addLora(model, loraConfig({ rank: job.rank, targetModules: 'all-linear' }), 0);
  const { batch, sequenceLength } = job;
  const rng = random(1);
  // Windows of one id more than a sequence has, since the last one is only predicted.
  const ids = Array.from({ length: batch * (sequenceLength + 1) }, () => rng.integer(config.vocabularySize));
  const examples = textWindows(ids, sequenceLength + 1, undefined);
  const memory = () => ({ backend: backend.memory().peak });
  if (job.kind === 'evaluation') return { run: () => evaluate(model, examples), memory };
  const trainer = new QLoRATrainer(model, parameters, examples, {
    steps: 1e6,
    batchSize: batch,
    gradientCheckpointing: job.checkpointing,
  });
  let firstLoss: number | undefined;
  return {
    async run() {
      const { loss } = await trainer.step();
      firstLoss ??= loss;
    },
    check: () => (firstLoss === undefined ? undefined : { rms: firstLoss, head: [] }),
    memory,
  };
}

function configOf(shape: ModelShape): LlamaConfig {
  return parseLlamaConfig({
    model_type: 'llama',
    hidden_size: shape.hidden,
    intermediate_size: shape.intermediate,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.keyHeads,
    vocab_size: shape.vocabulary,
    max_position_embeddings: shape.context,
    tie_word_embeddings: true,
  });
}

/** A prime, so that tensors begin at different places of the table. */
const STRIDE = 104729;

/** Tensors of random values, made when they are read, from one table of them. Norms are ones, as where training begins. */
function randomSource(config: LlamaConfig): TensorSource {
  const table = normals(1 << 20, 5);
  const shapes = [...llamaTensors(config)];
  const tensors = shapes.map(([name, shape]) => ({ name, dtype: 'f32', shape }) as const);
  const source: TensorSource = {
    label: 'random weights',
    metadata: new Map(),
    tensors,
    async read(name) {
      const { shape } = findTensor(source, name);
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      if (shape.length === 1) values.fill(1);
      else {
        let at = (tensors.findIndex((info) => info.name === name) * STRIDE) % table.length;
        for (let done = 0; done < values.length; at = 0) {
          const part = table.subarray(at, at + values.length - done);
          values.set(part, done);
          done += part.length;
        }
      }
      return tensor('f32', shape, values);
    },
    async close() {},
  };
  return source;
}
