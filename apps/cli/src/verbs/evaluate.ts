// qlora eval: how well a model predicts a text.
import { QloraError } from '@qlora/tensor';
import { type Evaluation, evaluate as evaluateModel, loadExamples } from '@qlora/trainer';
import { type ComputeOptions, type Loaded, withModel } from '../load';
import { readText } from '../read-text';
import type { Reporter } from '../reporter';

/** Options of {@link evaluate}. */
export interface EvaluateOptions extends ComputeOptions {
  readonly adapter?: string | undefined;
  readonly data: string;
  readonly sequenceLength?: number | undefined;
  /** Only the first so many windows. */
  readonly limit?: number | undefined;
}

/** Mean cross entropy and perplexity of a model on a text. */
export async function evaluate(
  folder: string,
  options: EvaluateOptions,
  reporter: Reporter,
): Promise<Evaluation> {
  const content = await readText(options.data);
  return withModel(folder, options, reporter, (loaded) =>
    evaluateLoaded(folder, content, options, loaded, reporter),
  );
}

async function evaluateLoaded(
  folder: string,
  content: string,
  options: EvaluateOptions,
  { backend, checkpoint, model }: Loaded,
  reporter: Reporter,
): Promise<Evaluation> {
  const context = model.config.contextLength;
  const sequenceLength = options.sequenceLength ?? Math.min(512, context);
  if (sequenceLength > context) {
    throw new QloraError({
      what: `sequence length ${sequenceLength} is longer than the model's context of ${context}`,
      where: folder,
      fix: `use --sequence-length ${context} or less`,
    });
  }
  const examples = loadExamples(content, options.data, checkpoint.tokenizer, sequenceLength).slice(
    0,
    options.limit,
  );
  const progress = reporter.progress('evaluating', examples.length);
  const result = await evaluateModel(model, examples, (done) => progress.update(done));
  progress.stop();
  reporter.event('evaluated', {
    ...result,
    windows: examples.length,
    sequenceLength,
    backend: backend.description,
  });
  reporter.say(
    `cross entropy ${result.crossEntropy.toFixed(4)} nats per token, perplexity ${result.perplexity.toFixed(3)}`,
  );
  reporter.say(`over ${result.tokens} tokens in ${examples.length} windows of ${sequenceLength}`);
  return result;
}
