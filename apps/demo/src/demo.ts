// The main job on the embedded model, from checkpoint to a file that llama.cpp runs: quantize, train, compare, export,
// with the same functions that the `qlora` command runs.
import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  bytes,
  createReporter,
  describeTrend,
  duration,
  exportGguf,
  generate,
  lossTrend,
  quantize,
  renderReport,
  silentReporter,
  train,
} from '@qlora/cli';
import { writeFileAtomic } from '@qlora/tensor/node';
import pc from 'picocolors';

const PROMPT = 'Once there';
const STEPS = 60;

const here = fileURLToPath(new URL('..', import.meta.url));
const root = join(here, '..', '..');
const out = join(root, 'demo-output');
const model = join(here, 'model');
const paths = {
  quantized: join(out, 'model-nf4'),
  adapter: join(out, 'pirate-adapter'),
  gguf: join(out, 'pirate.gguf'),
  report: join(out, 'report.html'),
};
const shown = (path: string) => relative(process.env.INIT_CWD ?? process.cwd(), path) || '.';

const start = performance.now();
const reporter = createReporter(false);
const step = (title: string) => console.log(`\n${pc.bold(pc.cyan('▸'))} ${pc.bold(title)}`);
const say = (adapter?: string) =>
  generate(
    paths.quantized,
    { prompt: PROMPT, maxTokens: 200, temperature: 0.4, topP: 0.9, seed: 6, adapter },
    silentReporter,
  );
const quote = (text: string) => console.log(pc.italic(wrap(`${PROMPT}${text}`, 90)));

await rm(out, { recursive: true, force: true });

step('Quantize the embedded model to NF4 with double quantization');
const sizes = await quantize(
  model,
  { out: paths.quantized, scheme: 'nf4', blockSize: 64, doubleQuant: true, overwrite: true },
  silentReporter,
);
console.log(
  `  weights ${bytes(sizes.weightBytesBefore)} → ${bytes(sizes.weightBytesAfter)} (embeddings and norms stay f32)`,
);

step(`Ask it for a story that begins with “${PROMPT}”`);
const before = await say();
quote(before);

step('Fine-tune: LoRA adapters on the frozen 4-bit weights, on 150 stories told by a pirate');
const run = await train(
  paths.quantized,
  {
    data: join(here, 'data/pirate.jsonl'),
    out: paths.adapter,
    rank: 16,
    alpha: 32,
    loraDropout: 0,
    targetModules: 'all-linear',
    sequenceLength: 192,
    quantization: {},
    overwrite: true,
    training: { steps: STEPS, batchSize: 4, learningRate: 1.5e-3, schedule: 'cosine', warmup: 5, seed: 1 },
  },
  {
    ...reporter,
    say: (line) =>
      line.startsWith('next') || line.startsWith('adapter') ? undefined : console.log(`  ${line}`),
  },
);

step('The same question again, with the adapter');
const after = await say(paths.adapter);
quote(after);

step('Merge and export for llama.cpp');
await exportGguf(paths.quantized, { adapters: [{ path: paths.adapter }], out: paths.gguf }, silentReporter);
console.log(`  ${shown(paths.gguf)}`);

await writeFileAtomic(
  paths.report,
  await renderReport({
    title: 'QLoRA in a minute',
    subtitle: 'A tiny Llama, quantized to 4 bits and taught to speak like a pirate',
    steps: run.steps,
    sections: [
      {
        kind: 'texts',
        title: 'The same prompt, before and after',
        texts: [
          { label: '4-bit model', text: PROMPT + before },
          { label: '4-bit model with the adapter', text: PROMPT + after },
        ],
      },
      {
        kind: 'table',
        title: 'Numbers',
        rows: [
          ['weights before', bytes(sizes.weightBytesBefore)],
          ['weights in 4 bits', bytes(sizes.weightBytesAfter)],
          ['trainable parameters', run.trainableParameters.toLocaleString('en')],
          ['steps', String(run.steps.length)],
          ['loss, from first to last', describeTrend(lossTrend(run.steps))],
          ['training time', duration(run.seconds)],
        ],
      },
    ],
  }),
);

console.log(`
${pc.bold(pc.green('Done'))} in ${duration((performance.now() - start) / 1000)}. What there is now, in ${shown(out)}:
  model-nf4/        the 4-bit checkpoint, as transformers with bitsandbytes loads it
  pirate-adapter/   the adapter, as PEFT loads it
  pirate.gguf       both merged, for llama.cpp: llama-completion -m ${shown(paths.gguf)} -p "${PROMPT}"
  report.html       the loss curve and the texts: open it in a browser

Next, with a model and a text of your own:
  npm run qlora -- train MODEL --data notes.txt --out my-adapter
  npm run qlora -- --help`);

/** Breaks a text into lines of at most `width` characters, indented. */
function wrap(text: string, width: number): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    if (`${lines.at(-1)} ${word}`.length > width) lines.push(word);
    else lines.push(`${lines.pop()} ${word}`.trimStart());
  }
  return lines.map((line) => `  ${line}`).join('\n');
}
