// Which of llama.cpp's pre-tokenizers a byte-level BPE tokenizer has. llama.cpp knows them by name and carries each
// one's regular expressions itself (src/llama-vocab.cpp, llm_tokenizer_bpe). Its converter finds the name by the hash of
// one text's ids, which only works for vocabularies that it has met; here the name follows from the steps in
// tokenizer.json, and only where llama.cpp does just the same.
import { type BpeTokenizer, refuseTokenizer, type Step, shown } from './tokenizer-json';

/** Names that are recognized. Another one is a line in `known`, or a case of {@link preTokenizerOf}. */
export const PRE_TOKENIZERS = [
  'gpt-2',
  'llama-bpe',
  'smaug-bpe',
  'qwen2',
  'smollm',
  'tekken',
  'gpt-4o',
] as const;

/** A name of llama.cpp's `tokenizer.ggml.pre`. */
export type PreTokenizerName = (typeof PRE_TOKENIZERS)[number];

/** A pre-tokenizer, and where it does otherwise than the tokenizer. */
export interface PreTokenizer {
  readonly name: string;
  readonly warnings: readonly string[];
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = ['\\s*[\\r\\n]+', '\\s+(?!\\S)', '\\s+'];
const UPPER = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}';
const LOWER = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}';
const CASED =
  'llama.cpp cuts words of marks, and of capital letters beyond A to Z, otherwise than the tokenizer: such texts may get other ids';

// Regular expression and `ignore_merges`, which llama.cpp ties to the name. The regular expressions stand in the
// tokenizer.json of Llama 3, Qwen 2, Mistral Nemo and GPT-4o (Phi 4 mini); Smaug's model has the first without ignoring merges.
const known: readonly {
  readonly regex: string;
  readonly ignoreMerges: boolean;
  readonly name: PreTokenizerName;
  readonly warning?: string;
}[] = [
  { regex: wordsWith('\\p{N}{1,3}'), ignoreMerges: true, name: 'llama-bpe' },
  { regex: wordsWith('\\p{N}{1,3}'), ignoreMerges: false, name: 'smaug-bpe' },
  { regex: wordsWith('\\p{N}'), ignoreMerges: false, name: 'qwen2' },
  { regex: casedWith('', '\\p{N}'), ignoreMerges: true, name: 'tekken', warning: CASED },
  {
    regex: casedWith(`${CONTRACTIONS}?`, '\\p{N}{1,3}'),
    ignoreMerges: false,
    name: 'gpt-4o',
    warning: CASED,
  },
];

function wordsWith(numbers: string): string {
  const letters = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';
  return [CONTRACTIONS, letters, numbers, ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*', ...SPACES].join('|');
}

function casedWith(ending: string, numbers: string): string {
  const front = '[^\\r\\n\\p{L}\\p{N}]?';
  const words = [`${front}[${UPPER}]*[${LOWER}]+${ending}`, `${front}[${UPPER}]+[${LOWER}]*${ending}`];
  return [...words, numbers, ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*', ...SPACES].join('|');
}

/**
 * A tokenizer's pre-tokenizer.
 * @throws QloraError for one that is not recognized.
 */
export function preTokenizerOf({ preTokenizers, ignoreMerges }: BpeTokenizer): PreTokenizer {
  const [first, second, ...more] = preTokenizers;
  if (more.length === 0 && first !== undefined) {
    if (second === undefined && isByteLevel(first, true) && !ignoreMerges) return plain('gpt-2');
    if (second !== undefined && isDigits(first) && isByteLevel(second, true) && !ignoreMerges)
      return plain('smollm');
    const regex = splitRegex(first);
    if (second !== undefined && regex !== undefined && isByteLevel(second, false)) {
      const found = known.find((entry) => entry.regex === regex && entry.ignoreMerges === ignoreMerges);
      if (found) return { name: found.name, warnings: found.warning === undefined ? [] : [found.warning] };
    }
  }
  return refuseTokenizer(
    'pre_tokenizer',
    `is ${shown(preTokenizers)}${ignoreMerges ? ' with ignore_merges' : ''}`,
    `those of ${PRE_TOKENIZERS.join(', ')} are recognized so far; --pre NAME forces one of llama.cpp's`,
  );
}

/**
 * A pre-tokenizer by its name.
 * @throws QloraError for a name that llama.cpp does not know.
 */
export function forcedPreTokenizer(name: string): PreTokenizer {
  if (llamaCppNames.includes(name)) {
    return {
      name,
      warnings: [`the pre-tokenizer ${name} was asked for: that it is the tokenizer's is not checked`],
    };
  }
  return refuseTokenizer(
    'pre_tokenizer',
    `no pre-tokenizer is named "${name}"`,
    `known: ${llamaCppNames.join(', ')}`,
  );
}

const plain = (name: PreTokenizerName): PreTokenizer => ({ name, warnings: [] });

// Names that llama.cpp v0.5.0 loads for its tokenizer model `gpt2`.
const llamaCppNames: readonly string[] =
  'default minicpm5 llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano deepseek-llm deepseek-coder deepseek-v3 spark2_5 youtu falcon mpt starcoder gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jais-2 gemma4 granite-embed-multi-311m sarvam-moe jina-v2-code roberta-bpe refact command-r qwen2 deepseek-r1-qwen kormo f2llmv2 qwen35 stablelm2 olmo dbrx smaug-bpe poro-chat glm4 chatglm-bpe viking jais tekken smollm codeshell bloom gpt3-finnish exaone exaone4 exaone-moe chameleon minerva-7b megrez gpt-4o llama4 kanana2 talkie granite-embed-multi-97m tiny_aya cohere2moe superbpe trillion granite-docling bailingmoe bailingmoe2 llada-moe seed-coder hunyuan hunyuan-dense hy_v4 joyai-llm kimi-k2 ufakzeka grok-2 afmoe laguna minimax-m2 solar-open mellum2'.split(
    ' ',
  );

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
