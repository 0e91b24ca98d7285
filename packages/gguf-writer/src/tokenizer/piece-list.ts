// The tokens of a tokenizer.model, with what other files add to them (conversion/base.py, _create_vocab_sentencepiece, and
// conversion/phi.py, Phi3MiniModel.set_vocab).
import type { GgufTokenizerRules } from '../families/contract';
import { bool, type GgufValue, list, text } from '../value';
import type { TokenizerFiles } from './files';
import { PIECE_TYPE, readSentencePiece } from './sentencepiece-model';
import { looksSpecial, requireDistinct, TOKEN_TYPE } from './token-list';
import { type AddedToken, parseAdded, refuseTokenizer, shown } from './tokenizer-json';

/** Tokens of a SentencePiece model, with scores. */
export interface PieceList {
  readonly metadata: [string, GgufValue][];
  /** Ids by text. */
  readonly vocab: ReadonlyMap<string, number>;
  readonly warnings: readonly string[];
}

/**
 * Metadata of the tokens of a tokenizer.model.
 * @throws QloraError for a model that llama.cpp would cut text otherwise with, and as `readSentencePiece` does.
 */
export function pieceList(
  bytes: Uint8Array,
  files: TokenizerFiles,
  vocabularySize: number,
  rules: GgufTokenizerRules,
): PieceList {
  const model = readSentencePiece(bytes);
  const refuse = (what: string, fix: string) => refuseTokenizer('tokenizer.model', what, fix);
  if (model.modelType !== 2) {
    const kind = { 1: 'unigram', 3: 'word', 4: 'char' }[model.modelType] ?? `type ${model.modelType}`;
    refuse(`is a ${kind} model`, 'llama.cpp merges by score, as BPE does');
  }
  if (model.spaceAsSuffix) refuse('puts spaces behind words', 'llama.cpp puts them in front');
  if (!model.escapeSpaces) refuse('does not put ▁ for spaces', 'llama.cpp always does');
  const { pieces } = model;
  if (pieces.length > vocabularySize) {
    refuse(`has ${pieces.length} tokens`, `the model has ${vocabularySize}`);
  }
  if (pieces.filter(({ type }) => type === PIECE_TYPE.byte).length !== 256) {
    refuse('has no token for every byte', 'llama.cpp needs all 256');
  }

  const tokens = Array.from({ length: vocabularySize }, (_, id) => pieces[id]?.text ?? `[PAD${id}]`);
  const scores = Array.from({ length: vocabularySize }, (_, id) => pieces[id]?.score ?? -10000);
  const types = Array.from({ length: vocabularySize }, (_, id) => pieces[id]?.type ?? TOKEN_TYPE.unused);
  // llama.cpp looks for user-defined tokens in the text as it comes, before spaces become ▁.
  const spaced = (token: string) => token.replaceAll('▁', ' ');
  pieces.forEach(({ text: piece, type }, id) => {
    if (type === PIECE_TYPE.userDefined) tokens[id] = spaced(piece);
  });
  for (const { id, content, special, source } of addedTokens(files, rules, tokens)) {
    if (id >= vocabularySize)
      refuseTokenizer(source, `${shown(content)} has the id ${id}`, `the model has ${vocabularySize} tokens`);
    const control =
      special || (!rules.plainAddedTokens && source !== 'added_tokens.json' && looksSpecial(content));
    const plain = control || rules.plainAddedTokens || source === 'added_tokens.json';
    tokens[id] = plain ? content : spaced(content);
    types[id] = control ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined;
    scores[id] = -1000;
  }
  requireDistinct(tokens, 'tokenizer.model');

  const warnings: string[] = [];
  if (model.normalizes)
    warnings.push(
      `llama.cpp does not normalize, the tokenizer does (${model.normalizer}): such texts get other ids`,
    );
  if (model.removeExtraSpaces)
    warnings.push('llama.cpp keeps spaces that follow one another, the tokenizer makes one of them');
  return {
    metadata: [
      ['tokenizer.ggml.model', text('llama')],
      ['tokenizer.ggml.pre', text('default')],
      ['tokenizer.ggml.tokens', list('string', tokens)],
      ['tokenizer.ggml.scores', list('f32', scores)],
      ['tokenizer.ggml.token_type', list('i32', types)],
      ...spacePrefix(files.config.add_prefix_space, model.addDummyPrefix),
    ],
    vocab: new Map(tokens.map((token, id) => [token, id])),
    warnings,
  };
}

/** llama.cpp puts a space in front unless told otherwise. tokenizer_config.json goes before the model, as in transformers. */
function spacePrefix(said: unknown, own: boolean): [string, GgufValue][] {
  if (typeof said !== 'boolean' && own) return [];
  return [['tokenizer.ggml.add_space_prefix', bool(typeof said === 'boolean' ? said : own)]];
}

interface SourcedToken extends Pick<AddedToken, 'id' | 'content' | 'special'> {
  readonly source: string;
}

/** Tokens that files beside the model add or replace; later ones count. */
function addedTokens(
  files: TokenizerFiles,
  rules: GgufTokenizerRules,
  pieces: readonly string[],
): SourcedToken[] {
  const plain = Object.entries(files.addedTokens ?? {}).map(([content, id]): SourcedToken => {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && content !== '')
      return { id, content, special: false, source: 'added_tokens.json' };
    return refuseTokenizer('added_tokens.json', `${shown(content)} has the id ${shown(id)}`);
  });
  const config = files.config.added_tokens_decoder;
  const decoder = typeof config === 'object' && config !== null ? Object.entries(config) : undefined;
  const decoded = parseAdded(decoder?.map(([id, token]) => ({ ...(token as object), id: Number(id) }))).map(
    (token) => ({
      ...token,
      source: 'tokenizer_config.json',
    }),
  );
  const all = parseAdded(files.tokenizer?.added_tokens).map((token) => ({
    ...token,
    source: 'tokenizer.json',
  }));
  // Where tokenizer_config.json is silent, tokenizer.json tells of the tokens that the model has not.
  const fromJson = rules.plainAddedTokens
    ? all
    : decoder === undefined
      ? all.filter(({ id, content }) => pieces[id] !== content)
      : [];
  return [...plain, ...decoded, ...fromJson];
}
