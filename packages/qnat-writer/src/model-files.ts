// A model's files in a QNAT file's metadata: configuration and tokenizer, those that are no JSON among them. Both ways here,
// so that what an export stores is what a reader looks for; SPEC.md has the keys.
import type { JsonObject } from './directory';
import { refuser, show } from './refuse';

/** The files beside a model's weights. All but the configuration may be missing. */
export interface QnatModelFiles {
  /** Parsed config.json. */
  readonly config: JsonObject;
  /** Parsed tokenizer.json. */
  readonly tokenizer?: JsonObject | undefined;
  /** Parsed tokenizer_config.json. */
  readonly tokenizerConfig?: JsonObject | undefined;
  /** The bytes of tokenizer.model, the file of SentencePiece. */
  readonly sentencePiece?: Uint8Array | undefined;
  /** Parsed added_tokens.json. */
  readonly addedTokens?: JsonObject | undefined;
  /** chat_template.jinja. */
  readonly chatTemplate?: string | undefined;
  /** Parsed generation_config.json. */
  readonly generationConfig?: JsonObject | undefined;
}

/** Metadata that holds a model's files; `quantization_config` is left out, since the directory says what is quantized. */
export function qnatModelMetadata(files: QnatModelFiles): JsonObject {
  const { quantization_config: _, ...config } = files.config;
  const { sentencePiece } = files;
  const entries: Record<string, unknown> = {
    config,
    tokenizer: files.tokenizer,
    tokenizer_config: files.tokenizerConfig,
    tokenizer_model: sentencePiece && toBase64(sentencePiece),
    added_tokens: files.addedTokens,
    chat_template: files.chatTemplate,
    generation_config: files.generationConfig,
  };
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}

/**
 * The model's files out of a QNAT file's metadata (`file.json`).
 * @param label the file, for messages.
 * @throws QloraError `qnat/model-files` if there is no `config`, or a key holds something else than SPEC.md says.
 */
export function qnatModelFiles(json: JsonObject, label = 'QNAT file'): QnatModelFiles {
  const refuse = refuser(label);
  const needs = (key: string, needed: string): never =>
    refuse('model-files', `${key} is ${show(own(json, key))}`, 'metadata', `${needed} is needed`);
  const object = (key: string): JsonObject | undefined => {
    const value = own(json, key);
    if (value === undefined) return undefined;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as JsonObject) : needs(key, 'an object');
  };
  const text = (key: string): string | undefined => {
    const value = own(json, key);
    return value === undefined || typeof value === 'string' ? value : needs(key, 'text');
  };
  const encoded = text('tokenizer_model');
  const sentencePiece = encoded === undefined ? undefined : fromBase64(encoded);
  if (encoded !== undefined && !sentencePiece) needs('tokenizer_model', 'base64');
  return {
    config: object('config') ?? needs('config', 'an object'),
    tokenizer: object('tokenizer'),
    tokenizerConfig: object('tokenizer_config'),
    sentencePiece,
    addedTokens: object('added_tokens'),
    chatTemplate: text('chat_template'),
    generationConfig: object('generation_config'),
  };
}

const own = (json: JsonObject, key: string): unknown => (Object.hasOwn(json, key) ? json[key] : undefined);

// A call's arguments have to fit on the stack. Divisible by 3, so that pieces of base64 can be joined.
const PIECE = 3 * 8192;

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += PIECE)
    text += btoa(String.fromCharCode(...bytes.subarray(at, at + PIECE)));
  return text;
}

/** Undefined for what is no base64 with its padding. */
function fromBase64(text: string): Uint8Array | undefined {
  // No expression over the whole: it may be long, and some engines keep a place to come back to for each character.
  if (text.length % 4 !== 0 || /[^A-Za-z0-9+/=]/.test(text) || /=(?!=?$)/.test(text)) return undefined;
  const binary = atob(text);
  return Uint8Array.from({ length: binary.length }, (_, i) => binary.charCodeAt(i));
}
