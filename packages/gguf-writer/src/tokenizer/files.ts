// A tokenizer's files, as they lie in a checkpoint's folder.

/** The files of a tokenizer. `tokenizer` or `sentencePiece` must be there; with both, the latter's pieces and scores are taken. */
export interface TokenizerFiles {
  /** Parsed tokenizer.json. */
  readonly tokenizer?: Readonly<Record<string, unknown>> | undefined;
  /** Parsed tokenizer_config.json, empty if there is none. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The bytes of tokenizer.model. */
  readonly sentencePiece?: Uint8Array | undefined;
  /** Parsed added_tokens.json: ids by text. */
  readonly addedTokens?: Readonly<Record<string, unknown>> | undefined;
  /** chat_template.jinja, where it is a file of its own. tokenizer_config.json goes before it. */
  readonly chatTemplate?: string | undefined;
}
