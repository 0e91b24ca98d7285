// tokenizer.model: what is read of a real one, what hostile ones meet, and what llama.cpp has no form of.
import { readFileSync } from 'node:fs';
import { QloraError } from '@qlora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenizerMetadata } from './metadata';
import { readSentencePiece } from './sentencepiece-model';

const real = new Uint8Array(readFileSync(new URL('../goldens/tokenizers/llama.model', import.meta.url)));

/** A field with bytes, short enough for a length of one byte. */
const field = (number: number, bytes: readonly number[]) => [number * 8 + 2, bytes.length, ...bytes];
const ascii = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const piece = (...more: number[]) => field(1, [...field(1, ascii('a')), ...more]);

const hostile: [rule: string, bytes: readonly number[]][] = [
  ['no-pieces', []],
  ['truncated', [0x0a]],
  ['truncated', [0x0a, 0x05, 0x01]],
  ['truncated', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ['varint', [0x08, ...new Array(11).fill(0x80)]],
  ['wire-type', [0x0b]],
  ['encoding', field(1, field(1, [0xff]))],
  ['empty-piece', field(1, [0x18, 0x01])],
  ['score', piece(0x12, 0x01, 0x00)],
  ['score', piece(0x15, 0x00, 0x00, 0xc0, 0x7f)],
  ['piece-type', piece(0x18, 0x07)],
];

describe('tokenizer.model', () => {
  it('has pieces with scores and types', () => {
    const model = readSentencePiece(real);
    expect(model.pieces.length).toBe(460);
    expect(model.pieces.slice(0, 4)).toEqual([
      { text: '<unk>', score: 0, type: 2 },
      { text: '<s>', score: 0, type: 3 },
      { text: '</s>', score: 0, type: 3 },
      { text: '<0x00>', score: 0, type: 6 },
    ]);
    expect([model.modelType, model.addDummyPrefix, model.normalizes, model.removeExtraSpaces]).toEqual([
      2,
      true,
      false,
      false,
    ]);
  });

  it.each(hostile)('that breaks a rule is refused by its name: %s', (rule, bytes) => {
    expect(() => readSentencePiece(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ rule: `sentencepiece/${rule}` }),
    );
  });

  it('gives nothing but refusals, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { maxLength: 5 }),
        fc.nat(real.length),
        (changes, end) => {
          const copy = real.slice(0, end);
          for (const [at, byte] of changes) if (at < end) copy[at] = byte;
          try {
            tokenizerMetadata({ sentencePiece: copy, config: {} }, { vocabularySize: 470 });
          } catch (error) {
            expect(error).toBeInstanceOf(QloraError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('of another kind than BPE is refused, and so are more pieces than the model has rows', () => {
    const at = Buffer.from(real).lastIndexOf(Buffer.from([0x18, 0x02])) + 1;
    const unigram = real.slice();
    unigram[at] = 1;
    const write = (sentencePiece: Uint8Array, vocabularySize: number) =>
      tokenizerMetadata({ sentencePiece, config: {} }, { vocabularySize });
    expect(readSentencePiece(unigram).modelType).toBe(1);
    expect(() => write(unigram, 470)).toThrow(/unigram model/);
    expect(() => write(real, 100)).toThrow(/has 460 tokens. The model has 100/);
  });

  it('takes no name of a pre-tokenizer', () => {
    const files = { sentencePiece: real, config: {} };
    expect(() => tokenizerMetadata(files, { vocabularySize: 470, preTokenizer: 'qwen2' })).toThrow(
      /pre_tokenizer/,
    );
  });
});
