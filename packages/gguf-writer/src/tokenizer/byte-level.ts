// Byte-level BPE, llama.cpp's tokenizer model `gpt2`: every byte is a printable character (GPT-2's table), text is cut by
// a pre-tokenizer, and merges are applied by rank (conversion/base.py, _set_vocab_gpt2).
import { type GgufValue, list, text } from '../value';
import { forcedPreTokenizer, preTokenizerOf } from './pre-tokenizers';
import { listTokens, looksSpecial, TOKEN_TYPE } from './token-list';
import { type BpeTokenizer, refuseTokenizer, shown } from './tokenizer-json';

/** True if the tokenizer works on bytes. */
export function isByteLevel({ preTokenizers }: BpeTokenizer): boolean {
  return preTokenizers.some(({ type }) => type === 'ByteLevel');
}

/**
 * Metadata of the tokens, and what llama.cpp will do otherwise than the tokenizer.
 * @param forced name of a pre-tokenizer to write, whatever the tokenizer's is.
 * @throws QloraError for steps of the tokenizer that llama.cpp does not have.
 */
export function byteLevelMetadata(
  bpe: BpeTokenizer,
  vocabularySize: number,
  forced?: string,
): { metadata: [string, GgufValue][]; warnings: string[] } {
  const warnings: string[] = [];
  for (const step of bpe.normalizers) {
    if (step.type !== 'NFC') {
      refuseTokenizer('normalizer', `has the step ${shown(step)}`, 'llama.cpp does not normalize');
    }
    warnings.push('llama.cpp does not normalize to NFC: text in another form gets other ids');
  }
  const pre = forced === undefined ? preTokenizerOf(bpe) : forcedPreTokenizer(forced);
  warnings.push(...pre.warnings);
  for (const character of byteCharacters()) {
    if (!bpe.vocab.has(character)) {
      refuseTokenizer('model.vocab', `lacks the byte ${shown(character)}`, 'all 256 are needed');
    }
  }
  const { tokens, types } = listTokens(
    bpe,
    vocabularySize,
    () => TOKEN_TYPE.normal,
    ({ special, content }) =>
      special || looksSpecial(content) ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined,
  );
  // A line of GGUF's merges is two tokens and a space; a space inside a token is written as GPT-2's table has it
  // (gguf-py/gguf/vocab.py, SpecialVocab).
  const part = (token: string) => token.replaceAll(' ', '\u0120');
  return {
    metadata: [
      ['tokenizer.ggml.model', text('gpt2')],
      ['tokenizer.ggml.pre', text(pre.name)],
      ['tokenizer.ggml.tokens', list('string', tokens)],
      ['tokenizer.ggml.token_type', list('i32', types)],
      [
        'tokenizer.ggml.merges',
        list(
          'string',
          bpe.merges.map(([l, r]) => `${part(l)} ${part(r)}`),
        ),
      ],
    ],
    warnings,
  };
}

/** The characters that stand for the bytes 0 to 255: printable ones for themselves, the others from U+0100 on. */
function* byteCharacters(): Generator<string> {
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    yield String.fromCharCode(printable ? byte : next++);
  }
}
