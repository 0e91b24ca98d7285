// Tiny tokenizers of every kind, of the committed files that make_tokenizers.py of tooling/conformance wrote.
import { readFileSync } from 'node:fs';
import type { TokenizerFiles } from '../tokenizer/files';

const goldens = new URL('../goldens/tokenizers/', import.meta.url);
const json = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(name, goldens), 'utf8'));

export const special = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' };
export const pieces = (kind: 'llama' | 'gemma', config: object, withJson = true): TokenizerFiles => ({
  sentencePiece: readFileSync(new URL(`${kind}.model`, goldens)),
  ...(withJson ? { tokenizer: json(`${kind}.json`) } : {}),
  config: { ...config },
});
export const piecesJson = (kind: 'llama' | 'gemma', config: object): TokenizerFiles => ({
  tokenizer: json(`${kind}.json`),
  config: { ...config },
});

/** A tokenizer of pieces, from one of its files. */
export function piecesTokenizer(kind: 'llama' | 'gemma', from: 'model' | 'json'): TokenizerFiles {
  const config = kind === 'llama' ? special : { bos_token: '<bos>', eos_token: '<eos>', pad_token: '<pad>' };
  const all = pieces(kind, config);
  return from === 'json'
    ? { tokenizer: all.tokenizer, config }
    : { sentencePiece: all.sentencePiece, config };
}

/** A byte-level tokenizer with the pre-tokenizer of that name. */
export function byteLevelTokenizer(kind: string, config: object = {}): TokenizerFiles {
  const { base, kinds } = json('byte-level.json') as {
    base: { model: object };
    kinds: Record<string, { pre_tokenizer: object; ignore_merges: boolean }>;
  };
  const { pre_tokenizer, ignore_merges } = kinds[kind] as (typeof kinds)[string];
  return {
    tokenizer: { ...base, pre_tokenizer, model: { ...base.model, ignore_merges } },
    config: { tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '<|endoftext|>', ...config },
  };
}

/** Kinds of byte-level tokenizers. */
export const BYTE_LEVEL_KINDS: readonly string[] = Object.keys(json('byte-level.json').kinds as object);

export const decoder = (tokens: Record<number, [content: string, special: boolean]>) => ({
  added_tokens_decoder: Object.fromEntries(
    Object.entries(tokens).map(([id, [content, special]]) => [
      id,
      { content, special, lstrip: false, rstrip: false, single_word: false, normalized: false },
    ]),
  ),
});
