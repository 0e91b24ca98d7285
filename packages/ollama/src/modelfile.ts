// Ollama's Modelfile beside a GGUF file, for `ollama create NAME -f Modelfile`. Without one, Ollama compares the file's chat
// template with a list of some forty by edit distance, takes the nearest, and where none is near puts no turns around
// messages at all (template/template.go, Named; server/model.go, detectChatTemplate).
import { QloraError } from '@qlora/tensor';
import type { ChatLayout } from './chat-layout';
import { chatRenderer } from './chat-render';
import { deriveLayout } from './derive-layout';
import { goTemplate, PLAIN_TEMPLATE } from './go-template';
import { isWritable, quoted } from './quoting';
import { samplingParameters } from './sampling';
import { stopWords } from './stops';

/** What a Modelfile is made of. */
export interface OllamaModelfileOptions {
  /** GGUF file of the model: its path from the Modelfile's folder. Either this or `base`. */
  readonly file?: string | undefined;
  /** Name of a model in Ollama's library instead, for an adapter of it: `llama3.2:3b`. */
  readonly base?: string | undefined;
  /** GGUF file of a LoRA adapter; Ollama takes one. */
  readonly adapters?: readonly string[] | undefined;
  /** The tokenizer's chat template, Jinja. Without one, and with `file`, prompts are passed on as they are. */
  readonly chatTemplate?: string | undefined;
  /** Text of the token that begins a sequence. */
  readonly bos?: string | undefined;
  /** Text of the token that ends one. */
  readonly eos?: string | undefined;
  /** `tokenizer.ggml.add_bos_token` of the GGUF file: whether Ollama begins every prompt with the BOS. Default true. */
  readonly addBos?: boolean | undefined;
  /** Text of a token, for end tokens that `generation` has besides `eos`. */
  readonly tokenOf?: ((id: number) => string | undefined) | undefined;
  /** generation_config.json. */
  readonly generation?: Readonly<Record<string, unknown>> | undefined;
  /** `general.architecture` of the GGUF file, to warn of what Ollama cannot do with it. */
  readonly architecture?: string | undefined;
  /** Tokens of context; Ollama's default is 4096 on small machines, and never more than the model's own. */
  readonly contextLength?: number | undefined;
}

/** A Modelfile. */
export interface OllamaModelfile {
  readonly text: string;
  /** What will be otherwise than with the chat template, as sentences. */
  readonly warnings: readonly string[];
}

/** Architectures that Ollama's own engine runs, which has no adapters (fs/ggml/ggml.go, OllamaEngineRequired). */
const NO_ADAPTERS = ['gemma3', 'qwen3'];
const WHERE = 'Modelfile';

/**
 * The Modelfile of a GGUF file, or of an adapter on one. TEMPLATE is what the chat template was found to do; if that cannot
 * be said in a Modelfile, the line is left out and Ollama's own detection decides.
 *
 * @throws QloraError for a part of a split model and for more than one adapter, which Ollama does not take, and for paths
 * that a Modelfile cannot hold.
 */
export function ollamaModelfile(options: OllamaModelfileOptions): OllamaModelfile {
  const { file, base, adapters = [], contextLength } = options;
  const warnings: string[] = [];
  const lines: string[] = [`FROM ${source(file, base)}`];
  if (adapters.length > 1) {
    throw new QloraError({
      what: `${adapters.length} adapters are given`,
      where: WHERE,
      fix: 'Ollama takes one; merge them, or export one adapter of them all',
    });
  }
  for (const adapter of adapters) lines.push(`ADAPTER ${path(adapter)}`);
  if (adapters.length > 0 && NO_ADAPTERS.includes(options.architecture ?? '')) {
    warnings.push(`Ollama applies no adapters to ${options.architecture} models; merge the adapter instead`);
  }

  const { layout, comments, ...chat } = chatLines(options);
  warnings.push(...chat.warnings);
  lines.push(...comments.map((comment) => `# ${comment}`), ...chat.lines);
  for (const word of stops(options, layout)) {
    if (isWritable(word)) lines.push(`PARAMETER stop ${quoted(word)}`);
    else warnings.push(`the stop word ${JSON.stringify(word)} cannot be written in a Modelfile`);
  }
  const sampling = samplingParameters(options.generation ?? {});
  warnings.push(...sampling.warnings);
  for (const [name, value] of sampling.parameters) lines.push(`PARAMETER ${name} ${value}`);
  if (contextLength !== undefined) {
    if (!Number.isSafeInteger(contextLength) || contextLength < 1) {
      throw new QloraError({
        what: `context length ${contextLength}`,
        where: WHERE,
        fix: 'give whole tokens',
      });
    }
    lines.push(`PARAMETER num_ctx ${contextLength}`);
  }
  return { text: `${lines.join('\n')}\n`, warnings };
}

function source(file: string | undefined, base: string | undefined): string {
  if ((file === undefined) === (base === undefined)) {
    throw new QloraError({
      what: 'a Modelfile begins from one model',
      where: WHERE,
      fix: 'give either file, a GGUF file, or base, a name in Ollama’s library',
    });
  }
  if (file !== undefined) return path(file);
  // types/model/name.go: host, namespace, model and tag, of which no part begins with a mark.
  if (/^\w[\w.:/@-]*$/.test(base as string)) return base as string;
  throw new QloraError({
    what: `${JSON.stringify(base)} is no name of a model`,
    where: WHERE,
    fix: 'llama3.2:3b would be one; a GGUF file is given as file',
  });
}

/** A path as the parser reads it; with ./ in front, so that it is never taken for a name or a home folder. */
function path(file: string): string {
  if (/-\d{5}-of-\d{5}\.gguf$/.test(file)) {
    throw new QloraError({
      what: 'Ollama does not load models that are split into several files',
      where: file,
      fix: 'export one file, or join the parts with llama-gguf-split --merge',
    });
  }
  if (file === '' || /[\n\r\t]/.test(file) || !isWritable(file)) {
    throw new QloraError({
      what: 'cannot be named in a Modelfile',
      where: JSON.stringify(file),
      fix: 'rename it',
    });
  }
  const full = /^(?:\.{1,2}[\\/]|[\\/]|[A-Za-z]:[\\/])/.test(file) ? file : `./${file}`;
  return /^[!-~]*$/.test(full) ? full : quoted(full);
}

/** TEMPLATE and SYSTEM. */
function chatLines(options: OllamaModelfileOptions): {
  layout?: ChatLayout | undefined;
  comments: string[];
  lines: string[];
  warnings: string[];
} {
  const { chatTemplate, base, addBos = true, bos, eos } = options;
  if (chatTemplate === undefined) {
    // A model of Ollama's library brings its own.
    const lines = base === undefined ? [`TEMPLATE ${quoted(PLAIN_TEMPLATE)}`] : [];
    return { comments: [], lines, warnings: [] };
  }
  const unknown = (reason: string) => ({
    comments: [
      'The chat template of this model cannot be written as a TEMPLATE; Ollama chooses one by itself:',
      'see what it took with `ollama show --template NAME`.',
    ],
    lines: [],
    warnings: [
      `the chat template cannot be written in a Modelfile: ${reason}; Ollama chooses by itself, see ollama show --template`,
    ],
  });
  let renderer: ReturnType<typeof chatRenderer>;
  try {
    renderer = chatRenderer(chatTemplate, { bos, eos, addBos });
  } catch (error) {
    return unknown((error as Error).message);
  }
  const derived = deriveLayout(renderer);
  if (derived.layout === undefined) return unknown(derived.reason ?? '');
  const layout = withWritableSystem(derived.layout);
  const template = goTemplate(layout);
  const warnings: string[] = [];
  if (derived.system === 'refused') {
    warnings.push(
      'the chat template refuses system messages; Ollama will put their text in front of the first question',
    );
  } else if (derived.system === 'ignored') {
    warnings.push('the chat template leaves out system messages, and so will Ollama');
  }
  if (renderer.hasDate) {
    warnings.push(
      'the chat template tells the model the day’s date, which a Modelfile cannot; the fixed date of the template stands there',
    );
  }
  if (/\btools\b/.test(chatTemplate)) {
    warnings.push('the chat template offers tools to the model, which the Modelfile does not');
  }
  if (addBos && bos && !renderer.beginsWithBos) {
    warnings.push(
      `prompts begin with ${bos}, as the GGUF file says, though the chat template puts none there`,
    );
  }
  const lines = [`TEMPLATE """${template}"""`];
  if (layout.defaultSystem !== undefined) lines.push(`SYSTEM ${quoted(layout.defaultSystem)}`);
  return { layout, comments: [], lines, warnings };
}

/** A usual system message that no SYSTEM line can hold becomes part of the template, where it can be escaped. */
function withWritableSystem(layout: ChatLayout): ChatLayout {
  const { system, defaultSystem } = layout;
  if (defaultSystem === undefined || isWritable(defaultSystem)) return layout;
  if (system.kind !== 'turn' && system.kind !== 'start') return layout;
  const { before, after } = system;
  return {
    ...layout,
    system: { kind: 'start', before, after, otherwise: before + defaultSystem + after },
    defaultSystem: undefined,
  };
}

function stops({ generation, eos, tokenOf }: OllamaModelfileOptions, layout?: ChatLayout): string[] {
  const { eos_token_id: ids } = generation ?? {};
  const further = (Array.isArray(ids) ? ids : [ids])
    .filter((id): id is number => typeof id === 'number')
    .map((id) => tokenOf?.(id))
    .filter((token) => token !== undefined && token !== eos) as string[];
  return [...new Set([...(layout ? stopWords(layout) : []), ...further])];
}
