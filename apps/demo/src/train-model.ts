// Makes the demo's model from nothing: corpus, tokenizer, random weights, training with our own packages, and a Hugging
// Face folder. Deterministic: the same seed gives the same files on the same Node version.
//
//   pnpm --filter @qlora/demo train-model [--steps 3000] [--out model]
//
// It takes about an hour on one core with the reference backend. The result is committed in `model/`.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createReferenceBackend } from '@qlora/backend';
import { createTokenizer, generate, llamaFamily, llamaTensors, parseLlamaConfig } from '@qlora/models';
import { safetensorsSink } from '@qlora/safetensors';
import { memorySource, pump, type Random, random, type Tensor, tensor } from '@qlora/tensor';
import { fileSink, folderAtomic, writeFileAtomic } from '@qlora/tensor/node';
import { evaluate, QLoRATrainer, recordExamples } from '@qlora/trainer';
import { parseStory } from './corpus/parse';
import { stories, take } from './corpus/story';
import { RESERVED_IDS, tokenizerFiles } from './tokenizer/tokenizer-files';
import { trainBpe } from './tokenizer/train-bpe';

const SEED = 2024;
const VOCABULARY = 768;
const CONTEXT = 512;

// Rows of every matrix are whole blocks of 64, so that the 4-bit model decodes right on every path of bitsandbytes: the
// AVX-512 one of 0.50 takes wrong scales where a row ends within a block.
const configJson = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  head_dim: 16,
  vocab_size: VOCABULARY,
  max_position_embeddings: CONTEXT,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  attention_bias: false,
  mlp_bias: false,
  bos_token_id: 1,
  eos_token_id: 2,
  torch_dtype: 'float32',
};

/** Random weights: normal with deviation 0.04, projections into the residual stream divided by √(2·layers) (GPT-2). */
function initialize(rng: Random): [string, Tensor][] {
  const config = parseLlamaConfig(configJson);
  return [...llamaTensors(config)].map(([name, shape]) => {
    const stream = rng.fork(name);
    const residual = /(o_proj|down_proj)\.weight$/.test(name) ? Math.sqrt(2 * config.layers) : 1;
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      name.includes('norm') ? 1 : (stream.normal() * 0.04) / residual,
    );
    return [name, tensor('f32', shape, values)];
  });
}

const { values: options } = parseArgs({
  options: { steps: { type: 'string', default: '3000' }, out: { type: 'string', default: 'model' } },
});
const steps = Number(options.steps);

// Both manners of speaking, so that the tokens suit the fine-tuning too; the model itself only sees the plain one.
const plain = take(stories(SEED, 'plain'), 16_000);
const pirate = take(stories(SEED + 1, 'pirate'), 2_000);
const bpe = trainBpe([...plain.slice(0, 3_000), ...pirate], VOCABULARY - RESERVED_IDS);
const files = tokenizerFiles(bpe, CONTEXT);
const tokenizer = createTokenizer({
  tokenizer: files['tokenizer.json'] as Record<string, unknown>,
  config: files['tokenizer_config.json'] as Record<string, unknown>,
});

const backend = createReferenceBackend();
const config = parseLlamaConfig(configJson);
const rng = random(SEED).fork('weights');
const model = await llamaFamily.build(backend, config, memorySource(initialize(rng)), { trainable: true });
const examples = recordExamples(
  plain.map((text) => ({ text })),
  tokenizer,
  CONTEXT,
);
const held = examples.splice(-100);
const parameters = model.parameters.reduce(
  (sum, { value }) => sum + value.shape.reduce((a, b) => a * b, 1),
  0,
);
console.log(`${parameters} parameters, ${examples.length} stories, ${steps} steps`);

const trainer = new QLoRATrainer(model, model.parameters, examples, {
  steps,
  batchSize: 4,
  learningRate: 4e-3,
  schedule: 'cosine',
  warmup: 50,
  weightDecay: 0.01,
  seed: SEED,
});
let tokens = 0;
for await (const step of trainer.run()) {
  tokens += step.tokens;
  if (step.step % 20 === 0) {
    console.log(
      `step ${step.step} loss ${step.loss.toFixed(4)} norm ${step.gradientNorm.toFixed(2)} tokens ${tokens}`,
    );
  }
  if (step.step % 200 === 0 || step.step === steps) {
    const ids: number[] = [];
    const prompt = tokenizer.encode('Once there');
    for await (const id of generate(model, prompt, { maxTokens: 120, temperature: 0.7, seed: 1 }))
      ids.push(id);
    console.log(tokenizer.decode([...prompt, ...ids]));
  }
}
const { crossEntropy } = await evaluate(model, held);
console.log(`held-out cross entropy ${crossEntropy.toFixed(4)} nats per token after ${tokens} tokens`);

const readings: { kept: number; steps: number }[] = [];
for (let seed = 0; seed < 30; seed++) {
  const ids: number[] = [];
  for await (const id of generate(model, tokenizer.encode(''), { maxTokens: 220, temperature: 0.6, seed })) {
    ids.push(id);
  }
  readings.push(parseStory(tokenizer.decode(ids)));
}
const kept = readings.reduce((sum, reading) => sum + reading.kept / reading.steps, 0) / readings.length;
console.log(`${(100 * kept).toFixed(0)} % of the steps of its stories fit their plot, hero and friend`);

await folderAtomic(
  options.out,
  async (folder) => {
    const json = {
      ...files,
      'config.json': configJson,
      'generation_config.json': { bos_token_id: 1, eos_token_id: 2 },
    };
    for (const [name, content] of Object.entries(json)) {
      await writeFileAtomic(join(folder, name), `${JSON.stringify(content, null, 1)}\n`);
    }
    const tensors: [string, Tensor][] = [];
    for (const { name, value } of model.parameters) {
      tensors.push([name, tensor('f32', value.shape, await backend.read(value))]);
    }
    const source = memorySource(tensors);
    const bytes = await fileSink(join(folder, 'model.safetensors'));
    await pump(
      source,
      await safetensorsSink(bytes, source.tensors, { metadata: new Map([['format', 'pt']]) }),
    );
  },
  { overwrite: true },
);
console.log(`written to ${options.out}`);
