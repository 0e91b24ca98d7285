// A tokenizer as llama.cpp reads it. tokenizer.json of Hugging Face says step by step how text becomes tokens; llama.cpp
// has one implementation a kind and is told tokens, scores or merges, types, and a few switches. What does not fit a
// kind exactly is refused or, where it concerns rare texts only, said in a warning.
import type { GgufValue } from '../value';
import { byteLevelMetadata, isByteLevel } from './byte-level';
import { sentencePieceMetadata, spacePrefixMetadata } from './sentencepiece';
import { type SpecialIds, specialTokenMetadata } from './special-tokens';
import { parseBpe, refuseTokenizer, type TokenizerJson } from './tokenizer-json';

/** A tokenizer's part of a GGUF header. */
export interface TokenizerMetadata {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** What llama.cpp will do otherwise than the tokenizer, as sentences. */
  readonly warnings: readonly string[];
}

/**
 * Metadata of a tokenizer.
 *
 * @param model `vocabularySize`: rows of the embedding; ids beyond the tokenizer's own become unused tokens. The ids of
 *   special tokens are used where the tokenizer's files name none.
 * @throws QloraError for a tokenizer that llama.cpp has no form of, naming the field.
 */
export function tokenizerMetadata(
  files: TokenizerJson,
  model: SpecialIds & { readonly vocabularySize: number },
): TokenizerMetadata {
  const bpe = parseBpe(files.tokenizer);
  const special = specialTokenMetadata(bpe, files.config, model);
  if (isByteLevel(bpe)) {
    const { metadata, warnings } = byteLevelMetadata(bpe, model.vocabularySize);
    return {
      metadata: new Map([...metadata, ...special.metadata]),
      warnings: [...warnings, ...special.warnings],
    };
  }
  if (!bpe.byteFallback) {
    refuseTokenizer(
      'model',
      'is BPE without byte fallback',
      'byte-level BPE, or BPE with byte fallback is needed',
    );
  }
  const { metadata, addSpacePrefix, warnings } = sentencePieceMetadata(bpe, model.vocabularySize);
  return {
    metadata: new Map([
      ...metadata,
      ...special.metadata,
      ...spacePrefixMetadata(addSpacePrefix, 'add_prefix_space' in files.config),
    ]),
    warnings: [...warnings, ...special.warnings],
  };
}
