// SentencePiece-style BPE (byte fallback, `▁` for spaces), llama.cpp's tokenizer model `llama`. llama.cpp has no list of
// merges for it: of all neighbours whose joint text is a token, it merges those whose token has the highest score
// (src/llama-vocab.cpp, llm_tokenizer_spm_session).
//
// From a tokenizer.json the converter writes the score −1000 for every token (gguf-py/gguf/vocab.py, LlamaHfVocab), which
// loses the order of merges: llama.cpp then splits `▁time` into `▁ti` and `me`. Here a token's score is minus the rank
// of the first merge that makes it, as SentencePiece's own scores are, so that llama.cpp splits text as the tokenizer
// does.
import { bool, type GgufValue, list, text } from '../value';
import { listTokens, TOKEN_TYPE } from './token-list';
import { type BpeTokenizer, refuseTokenizer, type Step, shown } from './tokenizer-json';

const BYTE = /^<0x[0-9A-F]{2}>$/;
// Scores of tokens that no merge makes: below all that one does.
const NO_MERGE = -1e6;

/**
 * Metadata of the tokens, and what llama.cpp will do otherwise than the tokenizer.
 * @throws QloraError for steps of the tokenizer that llama.cpp does not have.
 */
export function sentencePieceMetadata(
  bpe: BpeTokenizer,
  vocabularySize: number,
): { metadata: [string, GgufValue][]; addSpacePrefix: boolean; warnings: string[] } {
  if (bpe.ignoreMerges) refuseTokenizer('model.ignore_merges', 'is true', 'llama.cpp merges in any case');
  for (let byte = 0; byte < 256; byte++) {
    const token = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    if (!bpe.vocab.has(token))
      refuseTokenizer('model.vocab', `lacks the byte token ${token}`, 'all 256 are needed');
  }
  const warnings: string[] = [];
  const addSpacePrefix = spaceHandling(bpe, warnings);
  const { tokens, types } = listTokens(
    bpe,
    vocabularySize,
    (token) => (BYTE.test(token) ? TOKEN_TYPE.byte : TOKEN_TYPE.normal),
    ({ special }) => (special ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined),
  );
  const otherMerges = foreignMerges(bpe);
  if (otherMerges > 0) {
    warnings.push(
      `llama.cpp may split rare texts otherwise: ${otherMerges} pairs of tokens make a token but are no merge of the tokenizer, or one of another rank`,
    );
  }
  return {
    metadata: [
      ['tokenizer.ggml.model', text('llama')],
      ['tokenizer.ggml.pre', text('default')],
      ['tokenizer.ggml.tokens', list('string', tokens)],
      ['tokenizer.ggml.scores', list('f32', scoresOf(bpe, tokens))],
      ['tokenizer.ggml.token_type', list('i32', types)],
    ],
    addSpacePrefix,
    warnings,
  };
}

function scoresOf({ vocab, merges }: BpeTokenizer, tokens: readonly string[]): number[] {
  const scores = new Array<number>(tokens.length).fill(0);
  // One character, a byte or a special token is never merged; what has more and no merge must come last.
  for (const [token, id] of vocab) {
    if ([...token].length > 1 && !BYTE.test(token)) scores[id] = NO_MERGE;
  }
  merges.forEach(([left, right], rank) => {
    const id = vocab.get(left + right) ?? 0;
    if (scores[id] === NO_MERGE) scores[id] = 0 - rank;
  });
  return scores;
}

/**
 * Pairs of tokens that llama.cpp merges, because their joint text is a token, and the tokenizer does not, or not at that
 * rank. None in tokenizers made from SentencePiece's, where every such pair is a merge and those of a token follow each
 * other.
 */
function foreignMerges({ vocab, merges, added }: BpeTokenizer): number {
  const known = new Set(merges.map(([left, right]) => `${left} ${right}`));
  const special = new Set(added.map(({ content }) => content));
  const lastRanks = new Map<string, number>();
  let count = 0;
  merges.forEach(([left, right], rank) => {
    const last = lastRanks.get(left + right) ?? rank - 1;
    if (last !== rank - 1) count++;
    lastRanks.set(left + right, rank);
  });
  for (const token of vocab.keys()) {
    if (BYTE.test(token) || special.has(token)) continue;
    let left = '';
    for (const character of token) {
      const right = token.slice(left.length);
      if (left !== '' && vocab.has(left) && vocab.has(right) && !known.has(`${left} ${right}`)) count++;
      left += character;
    }
  }
  return count;
}

/** Whether a space is put in front of a text. Spaces must become `▁` and nothing else may happen to the text. */
function spaceHandling({ normalizers, preTokenizers, vocab }: BpeTokenizer, warnings: string[]): boolean {
  let prefix = false;
  let replaces = false;
  for (const step of normalizers) {
    if (step.type === 'Prepend' && step.prepend === '▁') prefix = true;
    else if (isSpaceReplacement(step)) replaces = true;
    else refuseTokenizer('normalizer', `has the step ${shown(step)}`, 'llama.cpp only puts ▁ for spaces');
  }
  for (const step of preTokenizers) {
    // Gemma's: there are no spaces left to split at.
    if (replaces && isSpaceSplit(step)) continue;
    if (step.type !== 'Metaspace' || step.replacement !== '▁' || preTokenizers.length > 1 || replaces) {
      return refuseTokenizer('pre_tokenizer', `has the step ${shown(step)}`, 'Metaspace with ▁ is known');
    }
    replaces = true;
    const scheme = step.prepend_scheme ?? (step.add_prefix_space === false ? 'never' : 'always');
    if (scheme !== 'never') {
      prefix = true;
      warnings.push('llama.cpp puts a space also before a text that begins with one; the tokenizer does not');
    }
    if (step.split !== false && [...vocab.keys()].some((token) => token.lastIndexOf('▁') > 0)) {
      refuseTokenizer(
        'pre_tokenizer',
        'splits at spaces, though tokens span them',
        'llama.cpp does not split',
      );
    }
  }
  if (!replaces) refuseTokenizer('normalizer', 'does not put ▁ for spaces', 'llama.cpp always does');
  return prefix;
}

function isSpaceSplit(step: Step): boolean {
  const pattern = step.pattern as { readonly String?: unknown } | null | undefined;
  return step.type === 'Split' && pattern?.String === ' ';
}

function isSpaceReplacement(step: Step): boolean {
  const pattern = step.pattern as { readonly String?: unknown } | null | undefined;
  return step.type === 'Replace' && pattern?.String === ' ' && step.content === '▁';
}

/** The metadata of a space in front, which llama.cpp puts for this tokenizer model unless told otherwise. */
export function spacePrefixMetadata(
  addSpacePrefix: boolean,
  configMentionsIt: boolean,
): [string, GgufValue][] {
  return addSpacePrefix && !configMentionsIt
    ? []
    : [['tokenizer.ggml.add_space_prefix', bool(addSpacePrefix)]];
}
