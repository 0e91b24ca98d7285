// qlora generate: text that follows a prompt.
import { generate as generateIds } from '@qlora/models';
import { type ComputeOptions, type Loaded, withModel } from '../load';
import type { Reporter } from '../reporter';

/** Options of {@link generate}. */
export interface GenerateOptions extends ComputeOptions {
  readonly adapter?: string | undefined;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** Generates text and returns what follows the prompt; it is written to the reporter as it comes. */
export function generate(folder: string, options: GenerateOptions, reporter: Reporter): Promise<string> {
  return withModel(folder, options, reporter, (loaded) => generateLoaded(options, loaded, reporter));
}

async function generateLoaded(
  options: GenerateOptions,
  { backend, checkpoint, model }: Loaded,
  reporter: Reporter,
): Promise<string> {
  const { tokenizer } = checkpoint;
  const prompt = tokenizer.encode(options.prompt);
  const start = performance.now();
  const ids: number[] = [];
  // Nothing is shown before the first token, so that a prompt that is refused is not echoed.
  let shown: string | undefined;
  const { maxTokens, temperature, topP, seed } = options;
  const prefix = tokenizer.decode(prompt);
  for await (const id of generateIds(model, prompt, { maxTokens, temperature, topP, seed })) {
    ids.push(id);
    const text = tokenizer.decode([...prompt, ...ids]).slice(prefix.length);
    // A character of several bytes is not whole yet while it ends in the replacement character.
    if (!text.endsWith('\ufffd')) {
      reporter.write(shown === undefined ? options.prompt + text : text.slice(shown.length));
      shown = text;
    }
  }
  reporter.write(shown === undefined ? `${options.prompt}\n` : '\n');
  const text = tokenizer.decode([...prompt, ...ids]).slice(prefix.length);
  const seconds = (performance.now() - start) / 1000;
  reporter.event('generated', {
    prompt: options.prompt,
    text,
    tokens: ids.length,
    seconds,
    tokensPerSecond: ids.length / seconds,
    backend: backend.description,
  });
  return text;
}
