// The tokenizer of the demo's model: learnt merges, and files that Hugging Face's library reads as they were meant.
import { readFileSync } from 'node:fs';
import { createTokenizer } from '@qlora/models';
import { describe, expect, it } from 'vitest';
import { RESERVED_IDS, tokenizerFiles } from './tokenizer-files';
import { trainBpe } from './train-bpe';

describe('byte-pair encoding', () => {
  it('joins the most frequent pair first, ties in the order of the alphabet', () => {
    const { characters, merges } = trainBpe(['ab ab ab cd'], 8);
    expect(characters).toEqual(['▁', 'a', 'b', 'c', 'd']);
    expect(merges).toEqual([
      ['a', 'b'],
      ['▁', 'ab'],
    ]);
  });

  it('never joins across a space, nor letters with marks', () => {
    const { merges } = trainBpe(Array(50).fill('no, no, no'), 100);
    expect(merges.map(([l, r]) => l + r).filter((token) => /.▁|,[a-z]|[a-z],/.test(token))).toEqual([]);
  });
});

describe('its files', () => {
  const bpe = trainBpe(['one fish two fish'], 20);
  const files = tokenizerFiles(bpe, 64);
  const tokenizer = createTokenizer({
    tokenizer: files['tokenizer.json'] as Record<string, unknown>,
    config: files['tokenizer_config.json'] as Record<string, unknown>,
  });

  it('begin a text with <s>, and give it back', () => {
    const ids = tokenizer.encode('two fish');
    expect(ids[0]).toBe(1);
    expect(tokenizer.decode(ids)).toBe('two fish');
    expect(ids.slice(1).every((id) => id >= RESERVED_IDS)).toBe(true);
  });

  it('say in bytes what the vocabulary has no character for', () => {
    const ids = tokenizer.encode('é');
    expect(ids.slice(-2)).toEqual([3 + 0xc3, 3 + 0xa9]);
    expect(tokenizer.decode(ids)).toBe('é');
  });
});

describe("the model's own tokenizer", () => {
  const read = (name: string) =>
    JSON.parse(readFileSync(new URL(`../../model/${name}`, import.meta.url), 'utf8')) as Record<
      string,
      unknown
    >;
  const tokenizer = createTokenizer({
    tokenizer: read('tokenizer.json'),
    config: read('tokenizer_config.json'),
  });

  it.each(['Once there was a fox.', 'Arr, matey! "Ahoy!" growled Ben.', 'ß and 日本'])(
    'gives %s back',
    (text) => {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    },
  );
});
