// A model's files in the metadata.
import { bytesSource } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { type QnatModelFiles, qnatModelFiles, qnatModelMetadata } from './model-files';
import { openQnat } from './reader';
import { fileOf, ruleOf } from './testing';

describe("a model's files", () => {
  it('come back as they were, those that are no JSON among them', async () => {
    const files: QnatModelFiles = {
      config: { model_type: 'gemma', vocab_size: 7 },
      tokenizer: { model: { vocab: { __proto__: 1 } } },
      tokenizerConfig: { add_bos_token: true },
      sentencePiece: Uint8Array.from({ length: 100_001 }, (_, i) => (i * 7) % 256),
      addedTokens: { '<a>': 5 },
      chatTemplate: '{{ "ä" }}\n',
      generationConfig: { eos_token_id: 2 },
    };
    const file = await openQnat(bytesSource(await fileOf({}, qnatModelMetadata(files))));
    expect(qnatModelFiles(file.json)).toEqual(files);
    expect(Object.keys(file.json)).toEqual([
      'config',
      'tokenizer',
      'tokenizer_config',
      'tokenizer_model',
      'added_tokens',
      'chat_template',
      'generation_config',
    ]);
  });

  it('of every length of tokenizer.model', () => {
    for (let length = 0; length < 8; length++) {
      const sentencePiece = Uint8Array.from({ length }, (_, i) => 255 - i);
      expect(qnatModelFiles(qnatModelMetadata({ config: {}, sentencePiece })).sentencePiece).toEqual(
        sentencePiece,
      );
    }
  });

  it('are without quantization_config, and without what there is not', () => {
    const config = { model_type: 'llama', quantization_config: { load_in_4bit: true } };
    expect(qnatModelMetadata({ config })).toEqual({ config: { model_type: 'llama' } });
  });

  it.each([
    [{}, /config is undefined/],
    [{ config: [] }, /config is a list of 0|config is \[\]/],
    [{ config: {}, tokenizer: 'x' }, /tokenizer is "x"\. An object is needed/],
    [{ config: {}, chat_template: {} }, /chat_template is an object\. Text is needed/],
    [{ config: {}, tokenizer_model: 'AAA' }, /tokenizer_model is "AAA"\. Base64 is needed/],
    [{ config: {}, tokenizer_model: 'A=AA' }, /Base64 is needed/],
    [{ config: {}, tokenizer_model: 'A===' }, /Base64 is needed/],
    [{ config: {}, tokenizer_model: '====' }, /Base64 is needed/],
    [{ config: {}, tokenizer_model: 'AA\n=' }, /Base64 is needed/],
    [JSON.parse('{"__proto__": {"config": {}}}'), /config is undefined/],
  ])('%j are refused', async (json, message) => {
    expect(() => qnatModelFiles(json, 'x.qnat')).toThrow(message);
    expect(await ruleOf(async () => qnatModelFiles(json))).toBe('qnat/model-files');
  });
});
