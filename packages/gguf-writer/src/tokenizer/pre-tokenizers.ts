// Which of llama.cpp's pre-tokenizers a byte-level BPE tokenizer has. llama.cpp knows them by name and carries each
// one's regular expressions itself (src/llama-vocab.cpp, llm_tokenizer_bpe). Its converter finds the name by the hash of
// one text's ids, which only works for vocabularies that it has met; here the name follows from the steps in
// tokenizer.json, and only where llama.cpp does just the same.
import { type BpeTokenizer, refuseTokenizer, type Step, shown } from './tokenizer-json';

/** Names that are recognized. Another one is a line in `namesByRegex`, or a case of {@link preTokenizerName}. */
export const PRE_TOKENIZERS = ['gpt-2', 'llama-bpe', 'smaug-bpe', 'qwen2', 'smollm'] as const;

/** A name of llama.cpp's `tokenizer.ggml.pre`. */
export type PreTokenizerName = (typeof PRE_TOKENIZERS)[number];

// Regular expression and `ignore_merges`, which llama.cpp ties to the name. The regular expressions stand in the
// tokenizer.json of Llama 3 and of Qwen 2; Smaug's model has the first without ignoring merges.
const namesByRegex: readonly (readonly [regex: string, ignoreMerges: boolean, name: PreTokenizerName])[] = [
  [regexWith('\\p{N}{1,3}'), true, 'llama-bpe'],
  [regexWith('\\p{N}{1,3}'), false, 'smaug-bpe'],
  [regexWith('\\p{N}'), false, 'qwen2'],
];

function regexWith(numbers: string): string {
  return [
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+',
    numbers,
    ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*',
    '\\s*[\\r\\n]+',
    '\\s+(?!\\S)',
    '\\s+',
  ].join('|');
}

/**
 * The name of a tokenizer's pre-tokenizer.
 * @throws QloraError for one that is not recognized.
 */
export function preTokenizerName({ preTokenizers, ignoreMerges }: BpeTokenizer): PreTokenizerName {
  const [first, second, ...more] = preTokenizers;
  if (more.length === 0 && first !== undefined) {
    if (second === undefined && isByteLevel(first, true) && !ignoreMerges) return 'gpt-2';
    if (second !== undefined && isDigits(first) && isByteLevel(second, true) && !ignoreMerges)
      return 'smollm';
    const regex = splitRegex(first);
    if (second !== undefined && regex !== undefined && isByteLevel(second, false)) {
      const found = namesByRegex.find((known) => known[0] === regex && known[1] === ignoreMerges);
      if (found) return found[2];
    }
  }
  return refuseTokenizer(
    'pre_tokenizer',
    `is ${shown(preTokenizers)}${ignoreMerges ? ' with ignore_merges' : ''}`,
    `those of ${PRE_TOKENIZERS.join(', ')} are recognized so far`,
  );
}

function isByteLevel(step: Step, useRegex: boolean): boolean {
  return (
    step.type === 'ByteLevel' && step.add_prefix_space !== true && (step.use_regex !== false) === useRegex
  );
}

function isDigits(step: Step): boolean {
  return step.type === 'Digits' && step.individual_digits === true;
}

function splitRegex(step: Step): string | undefined {
  const pattern = step.pattern as { readonly Regex?: unknown } | null | undefined;
  const plain = step.type === 'Split' && step.behavior === 'Isolated' && step.invert !== true;
  return plain && typeof pattern?.Regex === 'string' ? pattern.Regex : undefined;
}
