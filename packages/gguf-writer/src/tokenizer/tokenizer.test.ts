// What llama.cpp is told of a tokenizer. That it then gives the same ids is shown by apps/cli/src/llama-cpp.test.ts.
import { QloraError } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { tokenizerMetadata } from './metadata';

/** A tokenizer of Llama 2's kind: specials, all bytes, two letters and what they make. */
function sentencePiece() {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, 'a', 'b', 'ab', 'abab', '▁'];
  return {
    added_tokens: [
      { id: 0, content: '<unk>', special: true },
      { id: 1, content: '<s>', special: true },
      { id: 2, content: '</s>', special: true },
      { id: 264, content: '<tool>', special: false },
    ] as { id: number; content: string; special: boolean }[],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    } as Record<string, unknown> | null,
    pre_tokenizer: null as Record<string, unknown> | null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }],
    },
    model: {
      type: 'BPE',
      byte_fallback: true,
      unk_token: '<unk>',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])) as Record<string, number>,
      merges: [
        ['a', 'b'],
        ['ab', 'ab'],
      ] as string[][],
    },
  };
}

/** A tokenizer of GPT-2's kind: a character a byte, and one merge. */
function byteLevel() {
  const characters = Array.from({ length: 256 }, (_, byte) => byte).map((byte) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174 ? byte : undefined,
  );
  let next = 256;
  const tokens = characters.map((code) => String.fromCharCode(code ?? next++));
  const vocab = Object.fromEntries([...tokens, 'ab', '<|end|>'].map((token, id) => [token, id]));
  return {
    added_tokens: [{ id: 257, content: '<|end|>', special: false }],
    normalizer: null as Record<string, unknown> | null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false } as Record<string, unknown>,
    model: { type: 'BPE', ignore_merges: false, vocab, merges: ['a b'] },
  };
}

const config = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' };

describe('a SentencePiece-style tokenizer', () => {
  it('has types, scores in the order of its merges, and unused ids up to the embedding', () => {
    const { metadata, warnings } = tokenizerMetadata(
      { tokenizer: sentencePiece(), config },
      { vocabularySize: 266 },
    );
    const value = (key: string) => metadata.get(`tokenizer.ggml.${key}`)?.value;
    expect(value('model')).toBe('llama');
    const types = value('token_type') as number[];
    expect([...types.slice(0, 4), ...types.slice(258)]).toEqual([3, 3, 3, 6, 6, 1, 1, 1, 1, 1, 4, 5]);
    expect((value('scores') as number[]).slice(259)).toEqual([0, 0, 0, -1, 0, 0, 0]);
    expect((value('tokens') as string[]).slice(264)).toEqual(['<tool>', '[PAD265]']);
    expect([value('bos_token_id'), value('eos_token_id'), value('unknown_token_id')]).toEqual([1, 2, 0]);
    expect([value('add_bos_token'), value('add_eos_token')]).toEqual([true, false]);
    expect(warnings).toEqual([]);
  });

  it('warns where llama.cpp merges what the tokenizer does not', () => {
    const tokenizer = sentencePiece();
    tokenizer.model.merges.pop();
    const { warnings } = tokenizerMetadata({ tokenizer, config }, { vocabularySize: 265 });
    expect(warnings).toEqual([expect.stringContaining('1 pairs of tokens')]);
  });

  it('is refused where llama.cpp would do something else', () => {
    const export_ = (change: (tokenizer: ReturnType<typeof sentencePiece>) => void, size = 265) => {
      const tokenizer = sentencePiece();
      change(tokenizer);
      return () => tokenizerMetadata({ tokenizer, config }, { vocabularySize: size });
    };
    expect(export_(() => {}, 264)).toThrow(/"<tool>" has the id 264. The model has 264 tokens/);
    expect(export_((t) => delete t.model.vocab['<0x41>'])).toThrow(/lacks the byte token <0x41>/);
    expect(export_((t) => t.model.merges.push(['b', 'a']))).toThrow(/merge 2 needs "ba"/);
    expect(export_((t) => t.added_tokens.push({ id: 263, content: 'ab', special: false }))).toThrow(
      /"ab" is the text of both 261 and 263/,
    );
    expect(
      export_((t) => {
        t.normalizer = { type: 'Lowercase' };
      }),
    ).toThrow(/normalizer: has the step .*Lowercase/);
    expect(
      export_((t) => {
        t.normalizer = null;
      }),
    ).toThrow(/does not put ▁ for spaces/);
  });
});

describe('a byte-level tokenizer', () => {
  it("has llama.cpp's name for its way of cutting text, merges as lines, and control tokens by their looks", () => {
    const { metadata } = tokenizerMetadata(
      { tokenizer: byteLevel(), config: { eos_token: '<|end|>' } },
      { vocabularySize: 258 },
    );
    const value = (key: string) => metadata.get(`tokenizer.ggml.${key}`)?.value;
    expect([value('model'), value('pre')]).toEqual(['gpt2', 'gpt-2']);
    expect(value('merges')).toEqual(['a b']);
    expect((value('token_type') as number[]).slice(-2)).toEqual([1, 3]);
    expect(value('scores')).toBeUndefined();
  });

  it('is refused where its way of cutting text is none that llama.cpp has', () => {
    const tokenizer = { ...byteLevel(), pre_tokenizer: { type: 'Whitespace' } };
    const files = { tokenizer: { ...tokenizer }, config: {} };
    expect(() => tokenizerMetadata(files, { vocabularySize: 258 })).toThrow(QloraError);
    const lower = { ...byteLevel(), normalizer: { type: 'Lowercase' } };
    expect(() => tokenizerMetadata({ tokenizer: lower, config: {} }, { vocabularySize: 258 })).toThrow(
      /[Ll]lama.cpp does not normalize/,
    );
    const split = {
      ...byteLevel(),
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', behavior: 'Isolated', pattern: { Regex: '\\d' } },
          { type: 'ByteLevel', use_regex: false },
        ],
      },
    };
    expect(() => tokenizerMetadata({ tokenizer: split, config: {} }, { vocabularySize: 258 })).toThrow(
      /pre_tokenizer.*[Tt]hose of gpt-2, llama-bpe/,
    );
  });

  it('takes the name of a pre-tokenizer that llama.cpp has, with a warning', () => {
    const tokenizer = { ...byteLevel(), pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } };
    const write = (preTokenizer?: string) =>
      tokenizerMetadata({ tokenizer, config: {} }, { vocabularySize: 258, preTokenizer });
    expect(() => write()).toThrow(/--pre NAME forces/);
    const { metadata, warnings } = write('falcon');
    expect(metadata.get('tokenizer.ggml.pre')?.value).toBe('falcon');
    expect(warnings.join()).toContain('falcon was asked for');
    expect(() => write('falkon')).toThrow(/no pre-tokenizer is named "falkon". Known: default, /);
  });
});
