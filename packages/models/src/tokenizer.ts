// Text to token ids and back, over `@huggingface/tokenizers`, and chat templates over `@huggingface/jinja`.
import { Template } from '@huggingface/jinja';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { QloraError } from '@qlora/tensor';

/** A message of a chat. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** The parsed files of a tokenizer. */
export interface TokenizerFiles {
  /** tokenizer.json. */
  readonly tokenizer: Record<string, unknown>;
  /** tokenizer_config.json, or {} if there is none. */
  readonly config: Record<string, unknown>;
}

/** A model's tokenizer. */
export interface Tokenizer {
  /** Number of ids. */
  readonly vocabularySize: number;
  /** The id that begins a sequence, if the tokenizer puts one. */
  readonly bosId: number | undefined;
  /** The id that ends a sequence, if it is known. */
  readonly eosId: number | undefined;
  /** Ids of a text; with `special` (the default) the tokenizer's own begin and end ids are put around it. */
  encode(text: string, options?: { special?: boolean }): number[];
  /** Text of ids, special tokens left out. */
  decode(ids: readonly number[]): string;
  /** The piece of text of one id, as the vocabulary has it. */
  piece(id: number): string | undefined;
  /** True if the tokenizer has a chat template. */
  readonly hasChatTemplate: boolean;
  /**
   * The messages as the text that the model was trained on.
   * @throws QloraError if there is no chat template, or it refuses the messages.
   */
  chat(messages: readonly ChatMessage[], options?: { addGenerationPrompt?: boolean }): string;
}

/**
 * A tokenizer from its parsed files.
 * @throws QloraError if they describe none that can be run.
 */
export function createTokenizer(files: TokenizerFiles, where = 'tokenizer.json'): Tokenizer {
  let inner: HuggingFaceTokenizer;
  try {
    inner = new HuggingFaceTokenizer(files.tokenizer, files.config);
  } catch (cause) {
    throw new QloraError({
      what: `cannot be used: ${(cause as Error).message}`,
      where,
      fix: 'a tokenizer.json of the tokenizers library is needed',
      cause,
    });
  }
  const special = (field: string): string | undefined => {
    const value = files.config[field];
    if (typeof value === 'string') return value;
    return (value as { content?: string } | null | undefined)?.content;
  };
  const idOf = (token: string | undefined) => (token === undefined ? undefined : inner.token_to_id(token));
  // Whether a BOS is put in front is what the tokenizer does, not what its config says.
  const bos = idOf(special('bos_token'));
  const putsBos = bos !== undefined && inner.encode('a').ids[0] === bos;
  const template = files.config.chat_template;
  return {
    vocabularySize: inner.get_vocab(true).size,
    bosId: putsBos ? bos : undefined,
    eosId: idOf(special('eos_token')),
    encode: (text, { special = true } = {}) => inner.encode(text, { add_special_tokens: special }).ids,
    decode: (ids) => inner.decode([...ids], { skip_special_tokens: true }),
    piece: (id) => inner.id_to_token(id),
    hasChatTemplate: typeof template === 'string',
    chat(messages, { addGenerationPrompt = false } = {}) {
      if (typeof template !== 'string') {
        throw new QloraError({
          what: 'has no chat template',
          where,
          fix: 'give plain text, or prompt and completion',
        });
      }
      try {
        return new Template(template).render({
          messages: messages.map((message) => ({ ...message })),
          add_generation_prompt: addGenerationPrompt,
          bos_token: special('bos_token') ?? '',
          eos_token: special('eos_token') ?? '',
        });
      } catch (cause) {
        throw new QloraError({
          what: `the chat template refuses the messages: ${(cause as Error).message}`,
          where,
          cause,
        });
      }
    },
  };
}
