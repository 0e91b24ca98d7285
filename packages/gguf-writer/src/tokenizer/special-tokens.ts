// Ids of special tokens, which of them llama.cpp puts around a text, and the chat template
// (gguf-py/gguf/vocab.py, SpecialVocab).
import { bool, type GgufValue, list, text, u32 } from '../value';
import type { TokenizerFiles } from './files';
import { type AddedToken, refuseTokenizer, type Step } from './tokenizer-json';

/** What special tokens are told from. */
export interface SpecialSources {
  /** Ids by text, added tokens included. */
  readonly vocab: ReadonlyMap<string, number>;
  readonly added: readonly AddedToken[];
  /** Steps after tokenizing; undefined where there is no tokenizer.json. */
  readonly postProcessors: readonly Step[] | undefined;
  /** What config.json says (`bos_token_id` and its like), for tokenizers whose own files say nothing. */
  readonly idOf: (kind: string) => number | undefined;
  readonly vocabularySize: number;
}

const KINDS = [
  ['bos', 'bos'],
  ['eos', 'eos'],
  ['unk', 'unknown'],
  ['sep', 'seperator'], // the spelling of gguf-py/gguf/constants.py
  ['pad', 'padding'],
  ['mask', 'mask'],
] as const;

/**
 * Metadata of special tokens.
 * @throws QloraError for a post-processor that llama.cpp cannot follow.
 */
export function specialTokenMetadata(
  { vocab, added, postProcessors, idOf, vocabularySize }: SpecialSources,
  { config, chatTemplate: ownTemplate }: TokenizerFiles,
): { metadata: [string, GgufValue][]; warnings: string[] } {
  const metadata: [string, GgufValue][] = [];
  const warnings: string[] = [];
  const contents = new Map<string, string>();
  const ids = new Map<string, number>();
  const { first, last, pair } = around(postProcessors ?? []);
  for (const [kind, key] of KINDS) {
    const content = contentOf(config[`${kind}_token`]) ?? { bos: first, eos: last }[kind as string];
    const id = (content === undefined ? undefined : vocab.get(content)) ?? idOf(kind);
    if (id === undefined || id >= vocabularySize) continue;
    if (content !== undefined) contents.set(kind, content);
    ids.set(kind, id);
    metadata.push([`tokenizer.ggml.${key}_token_id`, u32(id)]);
  }
  // The tokenizer's own word first; tokenizer_config.json overrules it, as it does in transformers.
  for (const kind of ['bos', 'eos'] as const) {
    const said = config[`add_${kind}_token`];
    // Without a tokenizer.json, llama.cpp's defaults are those of SentencePiece's own tokenizers.
    if (typeof said !== 'boolean' && postProcessors === undefined) continue;
    const value = typeof said === 'boolean' ? said : puts(kind, kind === 'bos' ? first : last);
    if (value && !ids.has(kind)) {
      refuseTokenizer('post_processor', `puts a ${kind} token, but no file says which token that is`);
    }
    metadata.push([`tokenizer.ggml.add_${kind}_token`, bool(value)]);
    if (kind === 'bos' && pair !== undefined)
      metadata.push(['tokenizer.ggml.add_sep_token', bool(separates(pair))]);
  }
  if (!ids.has('eos')) {
    warnings.push('no end token is known; llama.cpp takes its default id and may stop at the wrong place');
  }
  if (added.some(({ greedy }) => greedy)) {
    warnings.push(
      'added tokens that take spaces along (lstrip, rstrip, single_word) do not do so in llama.cpp',
    );
  }
  return { metadata: [...metadata, ...chatTemplate(config.chat_template ?? ownTemplate)], warnings };

  function puts(kind: 'bos' | 'eos', token: string | undefined): boolean {
    if (token === undefined) return false;
    if (vocab.get(token) === ids.get(kind)) return true;
    return refuseTokenizer(
      'post_processor',
      `puts ${token} where the ${kind} token ${contents.get(kind) ?? '(none)'} would be`,
      'llama.cpp puts no other token there',
    );
  }

  /** Whether a separator stands between two texts; llama.cpp's converter says so of every tokenizer with pairs. */
  function separates(middle: string): boolean {
    return last === undefined && [contents.get('sep'), contents.get('eos')].includes(middle);
  }
}

function contentOf(value: unknown): string | undefined {
  const content =
    typeof value === 'object' && value !== null ? (value as { content?: unknown }).content : value;
  return typeof content === 'string' && content !== '' ? content : undefined;
}

/** The special tokens before and after a single text, and the first one between the two of a pair. */
function around(processors: readonly Step[]): { first?: string; last?: string; pair?: string } {
  const found: { first?: string; last?: string; pair?: string } = {};
  for (const step of processors) {
    if (step.type === 'ByteLevel') continue;
    if (step.type !== 'TemplateProcessing' || !Array.isArray(step.single)) {
      refuseTokenizer('post_processor', `has the step ${step.type}`, 'TemplateProcessing is known');
    }
    const single = template(step.single);
    const at = single.indexOf(undefined);
    if (at > 1 || single.length - at > 2) {
      refuseTokenizer('post_processor', 'puts several tokens before or after a text', 'llama.cpp puts one');
    }
    if (at === 1 && single[0] !== undefined) found.first = single[0];
    const end = single[at + 1];
    if (end !== undefined) found.last = end;
    const pair = Array.isArray(step.pair) ? template(step.pair) : [];
    const between = pair.slice(pair.indexOf(undefined) + 1, pair.lastIndexOf(undefined));
    if (between[0] !== undefined) found.pair = between[0];
  }
  return found;
}

/** A template's special tokens; undefined stands for a text. */
function template(items: readonly unknown[]): (string | undefined)[] {
  return items.map((item) => {
    const { SpecialToken } = (item ?? {}) as { SpecialToken?: { id?: unknown } | null };
    return typeof SpecialToken?.id === 'string' ? SpecialToken.id : undefined;
  });
}

/** A template, or several by name (gguf-py/gguf/gguf_writer.py, add_chat_template). */
function chatTemplate(value: unknown): [string, GgufValue][] {
  if (typeof value === 'string') return [['tokenizer.chat_template', text(value)]];
  if (!Array.isArray(value)) return [];
  const metadata: [string, GgufValue][] = [];
  const names: string[] = [];
  for (const item of value as unknown[]) {
    const { name, template: source } = (item ?? {}) as { name?: unknown; template?: unknown };
    if (typeof name !== 'string' || typeof source !== 'string') continue;
    const clean = name.replace(/[^A-Za-z0-9]/g, '_');
    if (clean === 'default') metadata.push(['tokenizer.chat_template', text(source)]);
    else if (!names.includes(clean)) {
      names.push(clean);
      metadata.push([`tokenizer.chat_template.${clean}`, text(source)]);
    }
  }
  if (names.length > 0) metadata.push(['tokenizer.chat_templates', list('string', names)]);
  return metadata;
}
