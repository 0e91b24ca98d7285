// qlora train: LoRA adapters on the frozen 4-bit base.
import { join } from 'node:path';
import { addLora, extractAdapter } from '@qlora/models';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, type LoraConfig, loraConfig } from '@qlora/peft';
import { saveAdapter } from '@qlora/peft/node';
import { type QuantizationConfig, quantizationConfig } from '@qlora/quant-strategies';
import { QloraError } from '@qlora/tensor';
import { writeFileAtomic } from '@qlora/tensor/node';
import {
  evaluate,
  loadExamples,
  type MemoryPlan,
  QLoRATrainer,
  type StepMetrics,
  type TrainingConfig,
  trainingConfig,
} from '@qlora/trainer';
import { type ComputeOptions, type Loaded, withModel } from '../load';
import { describeTrend, lossTrend } from '../loss-trend';
import { checkOutFolder } from '../output';
import { readText } from '../read-text';
import { type Report, renderReport } from '../report';
import { bytes, duration, type Reporter } from '../reporter';
import { shellWord } from '../shell-word';

/** Options of {@link train}. */
export interface TrainOptions extends ComputeOptions {
  readonly data: string;
  readonly out: string;
  readonly rank: number;
  readonly alpha: number;
  readonly loraDropout: number;
  readonly targetModules: readonly string[] | string;
  /** Tokens of a sequence. Default 128, or the model's context if that is shorter. */
  readonly sequenceLength?: number | undefined;
  readonly evalData?: string | undefined;
  readonly training: Partial<TrainingConfig>;
  readonly quantization: Partial<QuantizationConfig>;
  readonly overwrite: boolean;
}

/** Result of {@link train}. */
export interface TrainResult {
  readonly out: string;
  readonly steps: readonly StepMetrics[];
  readonly trainableParameters: number;
  readonly seconds: number;
  /** Cross entropy on the held-out data before and after, if there was any. */
  readonly evaluation: { readonly before: number; readonly after: number } | undefined;
}

/** The name of the log inside the adapter folder: one JSON object a step. */
export const LOG_FILE = 'training_log.jsonl';

/** The name of the page about the run inside the adapter folder. */
export const REPORT_FILE = 'report.html';
/** All that such a folder holds. */
const ADAPTER_FILES = [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, LOG_FILE, REPORT_FILE];

/** Trains adapters and writes them as PEFT does. */
export async function train(
  modelFolder: string,
  options: TrainOptions,
  reporter: Reporter,
): Promise<TrainResult> {
  const { rank, alpha, loraDropout, targetModules } = options;
  const config = loraConfig({ rank, alpha, dropout: loraDropout, targetModules, baseModel: modelFolder });
  // Everything that can be wrong is looked at before the model is loaded, and the output before anything is computed.
  trainingConfig(options.training);
  quantizationConfig(options.quantization);
  const start = performance.now();
  const inputs = [modelFolder, options.data, options.evalData];
  await checkOutFolder(options.out, {
    overwrite: options.overwrite,
    marker: ADAPTER_CONFIG_FILE,
    holds: (name) => ADAPTER_FILES.includes(name),
    inputs,
  });
  const texts: Text[] = [];
  for (const path of [options.data, options.evalData]) {
    if (path !== undefined) texts.push({ path, content: await readText(path) });
  }
  const { backend, threads, quantization } = options;
  return withModel(modelFolder, { backend, threads, quantize: quantization }, reporter, (loaded) =>
    trainLoaded(modelFolder, options, config, texts, { ...loaded, start }, reporter),
  );
}

/** The content of a data file. */
interface Text {
  readonly path: string;
  readonly content: string;
}

async function trainLoaded(
  modelFolder: string,
  options: TrainOptions,
  config: LoraConfig,
  texts: readonly Text[],
  { backend, checkpoint, model, start }: Loaded & { readonly start: number },
  reporter: Reporter,
): Promise<TrainResult> {
  const sequenceLength = options.sequenceLength ?? Math.min(128, model.config.contextLength);
  if (sequenceLength > model.config.contextLength) {
    throw new QloraError({
      what: `sequence length ${sequenceLength} is longer than the model's context of ${model.config.contextLength}`,
      where: modelFolder,
      fix: `use --sequence-length ${model.config.contextLength} or less`,
    });
  }
  const [examples = [], held] = texts.map(({ path, content }) =>
    loadExamples(content, path, checkpoint.tokenizer, sequenceLength),
  );
  const seed = options.training.seed ?? 0;
  const parameters = addLora(model, config, seed);
  const trainableParameters = parameters.reduce(
    (sum, { value }) => sum + value.shape.reduce((a, b) => a * b, 1),
    0,
  );
  const trainer = new QLoRATrainer(model, parameters, examples, options.training);
  reporter.say(
    `${examples.length} sequences, ${trainer.totalSteps} steps, ${trainableParameters.toLocaleString('en')} trainable parameters`,
  );
  const memory = await trainer.plan();
  if (memory) reporter.say(`memory: ${describeMemory(memory)}`);
  reporter.event('start', {
    sequences: examples.length,
    totalSteps: trainer.totalSteps,
    trainableParameters,
    backend: backend.description,
    memory,
  });
  const before = held ? (await evaluate(model, held)).crossEntropy : undefined;
  const steps: StepMetrics[] = [];
  const progress = reporter.progress('training', trainer.totalSteps);
  for await (const metrics of trainer.run()) {
    steps.push(metrics);
    progress.update(
      metrics.step,
      `loss ${metrics.loss.toFixed(3)}  ${Math.round(metrics.tokens / metrics.seconds)} tokens/s`,
    );
    reporter.event('step', { ...metrics });
  }
  progress.stop();
  const after = held ? (await evaluate(model, held)).crossEntropy : undefined;
  const adapter = await extractAdapter(model, config);
  const report = describe(modelFolder, options, {
    sequenceLength,
    trainableParameters,
    steps,
    memory,
    computing: backend.description,
  });
  await saveAdapter(options.out, adapter, {
    overwrite: options.overwrite,
    async extra(folder) {
      await writeFileAtomic(
        join(folder, LOG_FILE),
        steps.map((step) => `${JSON.stringify(step)}\n`).join(''),
      );
      await writeFileAtomic(join(folder, REPORT_FILE), await renderReport(report));
    },
  });
  const seconds = (performance.now() - start) / 1000;
  const evaluation = before !== undefined && after !== undefined ? { before, after } : undefined;
  const trend = lossTrend(steps);
  reporter.event('trained', {
    out: options.out,
    trainableParameters,
    seconds,
    evaluation,
    loss: trend,
  });
  reporter.say(`loss ${describeTrend(trend)} in ${duration(seconds)}`);
  if (evaluation)
    reporter.say(
      `held-out cross entropy ${evaluation.before.toFixed(4)} → ${evaluation.after.toFixed(4)} nats per token`,
    );
  reporter.say(`adapter written to ${options.out}, with the loss curve in ${join(options.out, REPORT_FILE)}`);
  reporter.say(
    `next: qlora generate ${shellWord(modelFolder)} --adapter ${shellWord(options.out)} --prompt "…"`,
  );
  return { out: options.out, steps, trainableParameters, seconds, evaluation };
}

/** `181.3 MB model, 412.0 MB a step`. */
const describeMemory = ({ modelBytes, stepBytes }: MemoryPlan): string =>
  `${bytes(modelBytes)} model, ${bytes(stepBytes)} a step`;

function describe(
  model: string,
  options: TrainOptions,
  run: {
    readonly sequenceLength: number;
    readonly trainableParameters: number;
    readonly steps: readonly StepMetrics[];
    readonly memory: MemoryPlan | undefined;
    readonly computing: string;
  },
): Report {
  const { rank, alpha, targetModules, data } = options;
  const { sequenceLength, trainableParameters, steps, memory, computing } = run;
  const tokens = steps.reduce((sum, step) => sum + step.tokens, 0);
  return {
    title: 'A QLoRA run',
    subtitle: `${model}, on ${data}`,
    steps,
    sections: [
      {
        kind: 'table',
        title: 'The run',
        rows: [
          ['rank, alpha', `${rank}, ${alpha}`],
          ['target modules', String(targetModules)],
          ['trainable parameters', trainableParameters.toLocaleString('en')],
          ['sequence length', String(sequenceLength)],
          ['steps', String(steps.length)],
          ['tokens learnt from', tokens.toLocaleString('en')],
          ['loss, from first to last', describeTrend(lossTrend(steps))],
          ['computed by', computing],
          ...(memory ? [['memory', describeMemory(memory)] as const] : []),
        ],
      },
    ],
  };
}
