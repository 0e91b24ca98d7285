// A tokenizer as llama.cpp reads it. tokenizer.json of Hugging Face says step by step how text becomes tokens; llama.cpp
// has one implementation a kind and is told tokens, scores or merges, types, and a few switches. What does not fit a
// kind exactly is refused or, where it concerns rare texts only, said in a warning.
import type { GgufTokenizerRules } from '../families/contract';
import type { GgufValue } from '../value';
import { byteLevelMetadata, isByteLevel } from './byte-level';
import type { TokenizerFiles } from './files';
import { pieceList } from './piece-list';
import { sentencePieceMetadata, spacePrefixMetadata } from './sentencepiece';
import { specialTokenMetadata } from './special-tokens';
import {
  type AddedToken,
  type BpeTokenizer,
  parseAdded,
  parseBpe,
  parsePostProcessors,
  refuseTokenizer,
} from './tokenizer-json';

/** A tokenizer's part of a GGUF header. */
export interface TokenizerMetadata {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** What llama.cpp will do otherwise than the tokenizer, as sentences. */
  readonly warnings: readonly string[];
}

/** What of the model a tokenizer depends on. */
export interface TokenizerModel {
  /** Rows of the embedding; ids beyond the tokenizer's own become unused tokens. */
  readonly vocabularySize: number;
  /** Id of a special token (`bos`, `eos`, …) by config.json, used where the tokenizer's files name none. */
  readonly idOf?: (kind: string) => number | undefined;
  /** The family's own ways. */
  readonly rules?: GgufTokenizerRules | undefined;
  /** Name of llama.cpp's pre-tokenizer for a byte-level tokenizer, instead of what its steps tell. */
  readonly preTokenizer?: string | undefined;
}

/**
 * Metadata of a tokenizer: from tokenizer.model if there is one, as in llama.cpp's converter, else from tokenizer.json.
 * @throws QloraError for a tokenizer that llama.cpp has no form of, naming the field.
 */
export function tokenizerMetadata(files: TokenizerFiles, model: TokenizerModel): TokenizerMetadata {
  const { vocabularySize, idOf = () => undefined, rules = {}, preTokenizer } = model;
  const { tokenizer, config, sentencePiece } = files;
  const isSentencePiece = sentencePiece !== undefined && config.tokenizer_class !== 'GPT2Tokenizer';
  const special = (
    vocab: ReadonlyMap<string, number>,
    added: readonly AddedToken[],
    postProcessors: BpeTokenizer['postProcessors'] | undefined,
  ) => {
    const ids = new Map([...vocab, ...added.map(({ content, id }) => [content, id] as const)]);
    return specialTokenMetadata({ vocab: ids, added, postProcessors, idOf, vocabularySize }, files);
  };
  const joined = (parts: { metadata: [string, GgufValue][]; warnings: readonly string[] }[]) => ({
    metadata: new Map(parts.flatMap(({ metadata }) => metadata)),
    warnings: parts.flatMap(({ warnings }) => [...warnings]),
  });

  if (isSentencePiece) {
    if (preTokenizer !== undefined) refusePreTokenizer();
    const pieces = pieceList(sentencePiece, files, vocabularySize, rules);
    const added = parseAdded(tokenizer?.added_tokens);
    return joined([pieces, special(pieces.vocab, added, tokenizer && parsePostProcessors(tokenizer))]);
  }
  if (!tokenizer)
    return refuseTokenizer('model', 'is missing', 'tokenizer.json or tokenizer.model is needed');
  const bpe = parseBpe(tokenizer);
  const tokens = special(bpe.vocab, bpe.added, bpe.postProcessors);
  if (isByteLevel(bpe)) return joined([byteLevelMetadata(bpe, vocabularySize, preTokenizer), tokens]);
  if (preTokenizer !== undefined) refusePreTokenizer();
  if (!bpe.byteFallback) {
    const fix = 'byte-level BPE, or BPE with byte fallback is needed';
    refuseTokenizer('model', 'is BPE without byte fallback', fix);
  }
  const { metadata, addSpacePrefix, warnings } = sentencePieceMetadata(bpe, vocabularySize);
  const prefix = spacePrefixMetadata(addSpacePrefix, 'add_prefix_space' in config);
  return joined([{ metadata, warnings }, tokens, { metadata: prefix, warnings: [] }]);
}

function refusePreTokenizer(): never {
  return refuseTokenizer(
    'pre_tokenizer',
    'has no name in llama.cpp for this kind of tokenizer',
    'leave it out',
  );
}
