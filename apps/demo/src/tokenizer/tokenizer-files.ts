// A learnt vocabulary as the files of a Hugging Face tokenizer: ids 0 to 2 are special, then the 256 bytes (for what the
// vocabulary has no character for), the characters, the merged tokens.
import type { Bpe } from './train-bpe';

const SPECIALS = ['<unk>', '<s>', '</s>'] as const;

/** Number of ids before the first character. */
export const RESERVED_IDS = SPECIALS.length + 256;

/** Contents of the files by name. */
export function tokenizerFiles(bpe: Bpe, contextLength: number): Record<string, unknown> {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = [
    ...SPECIALS,
    ...bytes,
    ...bpe.characters,
    ...bpe.merges.map(([left, right]) => left + right),
  ];
  const special = (id: number, content: string) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: SPECIALS.map((content, id) => special(id, content)),
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      pre_tokenizer: null,
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [
          { SpecialToken: { id: '<s>', type_id: 0 } },
          { Sequence: { id: 'A', type_id: 0 } },
          { SpecialToken: { id: '<s>', type_id: 1 } },
          { Sequence: { id: 'B', type_id: 1 } },
        ],
        special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
      },
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: '<unk>',
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: true,
        byte_fallback: true,
        ignore_merges: false,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: allMerges(bpe),
      },
    },
    'tokenizer_config.json': {
      tokenizer_class: 'LlamaTokenizerFast',
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      add_bos_token: true,
      add_eos_token: false,
      legacy: false,
      clean_up_tokenization_spaces: false,
      model_max_length: contextLength,
    },
    'special_tokens_map.json': { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' },
  };
}

/**
 * Every pair of tokens whose joint text is a token, those of a token together. SentencePiece, and llama.cpp with it,
 * merges any such pair; with all of them in the file every reader splits text alike.
 */
function allMerges({ characters, merges }: Bpe): [string, string][] {
  const known = new Set([...characters, ...merges.map(([left, right]) => left + right)]);
  return merges.flatMap(([left, right]) => {
    const splits: [string, string][] = [[left, right]];
    let start = '';
    for (const character of left + right) {
      const rest = (left + right).slice(start.length);
      if (start !== left && known.has(start) && known.has(rest)) splits.push([start, rest]);
      start += character;
    }
    return splits;
  });
}
