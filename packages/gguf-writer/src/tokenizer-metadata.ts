// A tokenizer as llama.cpp reads it. tokenizer.json of Hugging Face says how text is merged; llama.cpp has one
// implementation a kind and wants tokens, scores and types.
//
// SentencePiece-style BPE (byte fallback, `▁` for spaces): llama.cpp merges the neighbours whose joint token has the
// highest score. The converter writes −1000 for every token of such a tokenizer.json (gguf-py/gguf/vocab.py,
// LlamaHfVocab), which loses the order of merges; here a token's score is minus the rank of the merge that makes it,
// so that llama.cpp splits text as the tokenizer does.
import { QloraError } from '@qlora/tensor';
import { bool, type GgufValue, list, text, u32 } from './value';

/** Parsed tokenizer.json and tokenizer_config.json. */
export interface TokenizerJson {
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
}

// include/llama.h, enum llama_token_type.
const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

interface BpeModel {
  readonly type?: string;
  readonly byte_fallback?: boolean;
  readonly unk_token?: string | null;
  readonly vocab?: Readonly<Record<string, number>>;
  readonly merges?: readonly (string | readonly [string, string])[];
}

/**
 * Metadata of a tokenizer.
 *
 * @param vocabularySize rows of the embedding; ids beyond the tokenizer's own become unused tokens.
 * @throws QloraError for a tokenizer that is no SentencePiece-style BPE.
 */
export function tokenizerMetadata(files: TokenizerJson, vocabularySize: number): Map<string, GgufValue> {
  const model = (files.tokenizer.model ?? {}) as BpeModel;
  if (model.type !== 'BPE' || model.byte_fallback !== true || !model.vocab || !Array.isArray(model.merges)) {
    throw new QloraError({
      what: `the tokenizer is ${model.type ?? 'of no known type'}${model.type === 'BPE' ? ' without byte fallback' : ''}`,
      where: 'tokenizer.json',
      fix: 'SentencePiece-style BPE with byte fallback can be written to GGUF so far',
    });
  }
  const added = (files.tokenizer.added_tokens ?? []) as readonly AddedToken[];
  const { tokens, types, scores } = describeTokens(model, added, vocabularySize);
  const metadata = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', text('llama')],
    ['tokenizer.ggml.pre', text('default')],
    ['tokenizer.ggml.tokens', list('string', tokens)],
    ['tokenizer.ggml.scores', list('f32', scores)],
    ['tokenizer.ggml.token_type', list('i32', types)],
  ]);
  const idOf = (field: string) => {
    const value = files.config[field];
    const content =
      typeof value === 'string' ? value : (value as { content?: string } | null | undefined)?.content;
    return content === undefined
      ? undefined
      : (model.vocab?.[content] ?? added.find((t) => t.content === content)?.id);
  };
  for (const [field, key] of [
    ['bos_token', 'bos'],
    ['eos_token', 'eos'],
    ['unk_token', 'unknown'],
    ['pad_token', 'padding'],
  ] as const) {
    const id = idOf(field);
    if (id !== undefined) metadata.set(`tokenizer.ggml.${key}_token_id`, u32(id));
  }
  const around = specialsAround(files.tokenizer.post_processor);
  metadata.set('tokenizer.ggml.add_bos_token', bool(around.before));
  metadata.set('tokenizer.ggml.add_eos_token', bool(around.after));
  metadata.set('tokenizer.ggml.add_space_prefix', bool(prependsSpace(files.tokenizer)));
  if (typeof files.config.chat_template === 'string') {
    metadata.set('tokenizer.chat_template', text(files.config.chat_template));
  }
  return metadata;
}

function describeTokens(model: BpeModel, added: readonly AddedToken[], vocabularySize: number) {
  const tokens = Array.from({ length: vocabularySize }, (_, id) => `[PAD${id}]`);
  const types: number[] = new Array(vocabularySize).fill(TOKEN_TYPE.unused);
  const scores: number[] = new Array(vocabularySize).fill(0);
  const put = (id: number, token: string, type: number) => {
    if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
      throw new QloraError({
        what: `token ${JSON.stringify(token)} has id ${id}, the model has ${vocabularySize}`,
        where: 'tokenizer.json',
      });
    }
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(model.vocab ?? {})) {
    const isByte = /^<0x[0-9A-Fa-f]{2}>$/.test(token);
    put(
      id,
      token,
      isByte ? TOKEN_TYPE.byte : token === model.unk_token ? TOKEN_TYPE.unknown : TOKEN_TYPE.normal,
    );
  }
  for (const { id, content, special } of added) {
    if (content === model.unk_token) continue;
    put(id, content, special ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined);
  }
  const ranked = new Set<number>();
  (model.merges ?? []).forEach((merge, rank) => {
    const [left = '', right = ''] = typeof merge === 'string' ? merge.split(' ') : merge;
    const id = model.vocab?.[left + right];
    if (id === undefined || ranked.has(id)) return;
    ranked.add(id);
    scores[id] = 0 - rank;
  });
  return { tokens, types, scores };
}

/** Whether the post-processor puts special tokens before and after a text. */
function specialsAround(processor: unknown): { before: boolean; after: boolean } {
  const { type, single, processors } = (processor ?? {}) as {
    type?: string;
    single?: readonly Record<string, unknown>[];
    processors?: readonly unknown[];
  };
  if (type === 'Sequence' && processors) {
    const all = processors.map(specialsAround);
    return { before: all.some((p) => p.before), after: all.some((p) => p.after) };
  }
  if (type !== 'TemplateProcessing' || !single || single.length === 0) return { before: false, after: false };
  return { before: 'SpecialToken' in (single[0] ?? {}), after: 'SpecialToken' in (single.at(-1) ?? {}) };
}

/** Whether a space is put in front of a text: a Prepend normalizer, or a Metaspace pre-tokenizer that prepends. */
function prependsSpace(tokenizer: Readonly<Record<string, unknown>>): boolean {
  const parts = (value: unknown): Record<string, unknown>[] => {
    if (typeof value !== 'object' || value === null) return [];
    const { normalizers, pretokenizers } = value as { normalizers?: unknown[]; pretokenizers?: unknown[] };
    return [value as Record<string, unknown>, ...(normalizers ?? pretokenizers ?? []).flatMap(parts)];
  };
  return [...parts(tokenizer.normalizer), ...parts(tokenizer.pre_tokenizer)].some(
    (part) =>
      part.type === 'Prepend' ||
      (part.type === 'Metaspace' && part.prepend_scheme !== 'never' && part.add_prefix_space !== false),
  );
}
