// The tokens of a model in the order of their ids, as GGUF lists them: a text and a type each.
import { type AddedToken, type BpeTokenizer, refuseTokenizer, shown } from './tokenizer-json';

/** Types of tokens (include/llama.h, enum llama_token_type). */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Tokens by id. */
export interface TokenList {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
}

/**
 * Lists the tokens. Ids of the embedding that no token has become `[PAD<id>]`, unused, as the converter names them
 * (conversion/base.py, get_vocab_base).
 *
 * @param typeOf type of a token of the vocabulary.
 * @param typeOfAdded type of an added token.
 * @throws QloraError for ids that the embedding does not have, and for two tokens of one text, at which llama.cpp aborts.
 */
export function listTokens(
  { vocab, added }: BpeTokenizer,
  vocabularySize: number,
  typeOf: (token: string) => number,
  typeOfAdded: (token: AddedToken) => number,
): TokenList {
  const tokens = Array.from({ length: vocabularySize }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(vocabularySize).fill(TOKEN_TYPE.unused);
  const put = (id: number, token: string, type: number, field: string) => {
    if (id >= vocabularySize) {
      refuseTokenizer(field, `${shown(token)} has the id ${id}`, `the model has ${vocabularySize} tokens`);
    }
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of vocab) {
    if (id < vocabularySize && types[id] !== TOKEN_TYPE.unused) {
      refuseTokenizer('model.vocab', `${shown(tokens[id])} and ${shown(token)} have the same id ${id}`);
    }
    put(id, token, typeOf(token), 'model.vocab');
  }
  for (const token of added) {
    const type = typeOfAdded(token);
    // llama.cpp looks for these in the text as it comes, before spaces become ▁.
    const content = type === TOKEN_TYPE.userDefined ? token.content.replaceAll('▁', ' ') : token.content;
    put(token.id, content, type, 'added_tokens');
  }
  requireDistinct(tokens, 'model.vocab');
  return { tokens, types };
}

/** Throws for an empty token, and for two tokens of one text, at which llama.cpp aborts. */
export function requireDistinct(tokens: readonly string[], field: string): void {
  const seen = new Map<string, number>();
  tokens.forEach((token, id) => {
    const other = seen.get(token);
    if (other !== undefined) refuseTokenizer(field, `${shown(token)} is the text of both ${other} and ${id}`);
    if (token === '') refuseTokenizer(field, `token ${id} is empty`, 'llama.cpp needs a text');
    seen.set(token, id);
  });
}

/** Added tokens that files forget to mark as special (conversion/base.py, does_token_look_special). */
export function looksSpecial(token: string): boolean {
  return (
    ['<pad>', '<mask>', '<2mass>', '[@BOS@]'].includes(token) ||
    /^<\|.*\|>$/s.test(token) ||
    /^<｜.*｜>$/s.test(token) ||
    /^<unused.*>$/s.test(token)
  );
}
