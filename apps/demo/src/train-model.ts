// Makes the demo's model from nothing: corpus, tokenizer, random weights, training with our own packages, and a Hugging
// Face folder. Deterministic: the same seed gives the same files on the same Node version and kind of processor.
//
//   pnpm --filter @qlora/demo train-model [--out model] [--from MODEL] [--wide]
//
// It takes some five minutes on two cores; `--from` takes the weights of a model that has the first phase behind it. What
// is committed in `model/` was made by the reference backend, in about an hour. `--wide` makes a model of nine times the
// parameters, whose rows have whole blocks of 256 as ggml's K-quants want them; the benchmarks train and keep one.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createBackend } from '@qlora/backend';
import { createTokenizer, generate, llamaFamily, llamaTensors, parseLlamaConfig } from '@qlora/models';
import { safetensorsSink } from '@qlora/safetensors';
import { openSafetensorsFolder } from '@qlora/safetensors/node';
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

const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: 'model' },
    from: { type: 'string' },
    wide: { type: 'boolean', default: false },
  },
});

// Rows of every matrix are whole blocks of 64, so that the 4-bit model decodes right on every path of bitsandbytes: the
// AVX-512 one of 0.50 takes wrong scales where a row ends within a block. The wide one's are whole blocks of 256.
const [hidden, intermediate, layers] = options.wide ? [256, 768, 4] : [128, 256, 2];
const HEADS = 8;

const configJson = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: hidden,
  intermediate_size: intermediate,
  num_hidden_layers: layers,
  num_attention_heads: HEADS,
  num_key_value_heads: 2,
  head_dim: hidden / HEADS,
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

// Both manners of speaking, so that the tokens suit the fine-tuning too.
const plain = take(stories(SEED, 'plain'), 16_000);
const pirate = take(stories(SEED + 1, 'pirate'), 2_000);
const bpe = trainBpe([...plain.slice(0, 3_000), ...pirate], VOCABULARY - RESERVED_IDS);
const files = tokenizerFiles(bpe, CONTEXT);
const tokenizer = createTokenizer({
  tokenizer: files['tokenizer.json'] as Record<string, unknown>,
  config: files['tokenizer_config.json'] as Record<string, unknown>,
});

const toExamples = (texts: readonly string[]) =>
  recordExamples(
    texts.map((text) => ({ text })),
    tokenizer,
    CONTEXT,
  );
const held = toExamples(plain.splice(-100));

/**
 * First how stories go; then a few told by pirates among them, so that no word of the fine-tuning is a stranger. The wide
 * model's steps cost nine times as much, and it needs fewer.
 */
const [long, short, rate] = options.wide ? [1200, 300, 2e-3] : [3000, 600, 4e-3];
const phases = [
  { examples: toExamples(plain), steps: long, learningRate: rate, warmup: 50 },
  {
    examples: toExamples([...plain.slice(0, 1600), ...pirate.slice(0, 400)]),
    steps: short,
    learningRate: rate / 2,
    warmup: 20,
  },
];

const backend = createBackend();
const config = parseLlamaConfig(configJson);
const start = options.from
  ? await openSafetensorsFolder(options.from)
  : memorySource(initialize(random(SEED).fork('weights')));
const model = await llamaFamily.build(backend, config, start, { trainable: true });
await start.close();

for (const { examples, ...phase } of options.from ? phases.slice(1) : phases) {
  console.log(`${examples.length} stories, ${phase.steps} steps`);
  const trainer = new QLoRATrainer(model, model.parameters, examples, {
    ...phase,
    batchSize: 4,
    schedule: 'cosine',
    weightDecay: 0.01,
    seed: SEED,
  });
  for await (const { step, loss, gradientNorm, tokens, seconds } of trainer.run()) {
    if (step % 20 !== 0) continue;
    const rate = (tokens / seconds).toFixed(0);
    console.log(`step ${step} loss ${loss.toFixed(4)} norm ${gradientNorm.toFixed(2)} ${rate} tokens/s`);
    if (step % 200 === 0) console.log(await tell('Once there', 1));
  }
  trainer.free();
}
const { crossEntropy } = await evaluate(model, held);
console.log(`held-out cross entropy ${crossEntropy.toFixed(4)} nats per token`);

let kept = 0;
for (let seed = 0; seed < 30; seed++) {
  const reading = parseStory(await tell('', seed));
  kept += reading.kept / reading.steps / 30;
}
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
await backend.dispose();
console.log(`written to ${options.out}`);

async function tell(prompt: string, seed: number): Promise<string> {
  const ids = tokenizer.encode(prompt);
  for await (const id of generate(model, ids.slice(), { maxTokens: 220, temperature: 0.6, seed }))
    ids.push(id);
  return tokenizer.decode(ids);
}
