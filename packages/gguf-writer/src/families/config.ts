// config.json of Hugging Face, read field by field: it may come from a stranger. A missing field has the default that
// transformers 5.23 gives it (models/*/configuration_*.py), since llama.cpp's converter reads the config through transformers.
import { QloraError } from '@qlora/tensor';

/** Parsed config.json. */
export type ConfigJson = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is ConfigJson =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads fields of a config.json; every refusal names the field. */
export class ConfigReader {
  readonly #json: ConfigJson;
  readonly #path: string;

  /** @param path of the object, for messages. */
  constructor(json: ConfigJson, path = 'config.json') {
    this.#json = json;
    this.#path = path;
  }

  /** Throws, saying which field. */
  refuse(field: string, what: string, fix?: string): never {
    throw new QloraError({ what, where: [this.#path, field], ...(fix === undefined ? {} : { fix }) });
  }

  /** Whether a field is there and not null. */
  has(field: string): boolean {
    return this.#json[field] !== undefined && this.#json[field] !== null;
  }

  /** Whether a field is there and null. */
  isNull(field: string): boolean {
    return this.#json[field] === null;
  }

  /** A positive integer, as all sizes are. @param most what it may be; default: 2^31 − 1. */
  size(field: string, fallback?: number, most = 2 ** 31 - 1): number {
    const value = this.#field(field, fallback);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1)
      return this.refuse(field, `is ${shown(value)}`, 'a positive integer is needed');
    return value <= most ? value : this.refuse(field, `is ${value}`, `${most} are the most`);
  }

  /** A finite number above 0. */
  number(field: string, fallback?: number): number {
    const value = this.#field(field, fallback);
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    return this.refuse(field, `is ${shown(value)}`, 'a number above 0 is needed');
  }

  /** A number above 0, or undefined. */
  optionalNumber(field: string): number | undefined {
    return this.has(field) ? this.number(field) : undefined;
  }

  /** A size, or undefined. */
  optionalSize(field: string): number | undefined {
    return this.has(field) ? this.size(field) : undefined;
  }

  /** true or false. */
  flag(field: string, fallback: boolean): boolean {
    const value = this.#field(field, fallback);
    if (typeof value === 'boolean') return value;
    return this.refuse(field, `is ${shown(value)}`, 'true or false is needed');
  }

  /** A text, or undefined. */
  text(field: string): string | undefined {
    const value = this.#field(field, undefined);
    if (value === undefined || typeof value === 'string') return value;
    return this.refuse(field, `is ${shown(value)}`, 'a text is needed');
  }

  /** Texts, or undefined. */
  texts(field: string): string[] | undefined {
    const value = this.#field(field, undefined);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    return this.refuse(field, `is ${shown(value)}`, 'a list of texts is needed');
  }

  /** A list of numbers above 0, or undefined. */
  numbers(field: string): number[] | undefined {
    const value = this.#field(field, undefined);
    if (value === undefined) return undefined;
    const fits = (item: unknown) => typeof item === 'number' && Number.isFinite(item) && item > 0;
    if (Array.isArray(value) && value.every(fits)) return value as number[];
    return this.refuse(field, `is ${shown(value)}`, 'a list of numbers above 0 is needed');
  }

  /** The object of a field, empty where there is none. */
  object(field: string): ConfigReader {
    const value = this.#field(field, {});
    if (isObject(value)) return new ConfigReader(value, `${this.#path}: ${field}`);
    return this.refuse(field, `is ${shown(value)}`, 'an object is needed');
  }

  /** An id, or the first of several, or undefined. */
  id(field: string): number | undefined {
    const value = this.#field(field, undefined);
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (first === undefined) return undefined;
    if (typeof first === 'number' && Number.isInteger(first) && first >= 0 && first < 2 ** 31) return first;
    // Files say −1 for a token that there is not.
    return first === -1 ? undefined : this.refuse(field, `is ${shown(value)}`, 'a token id is needed');
  }

  /** The field over that of `text_config`, where multimodal models keep the language model's. */
  flattened(): ConfigReader {
    const inner = this.#json.text_config;
    return isObject(inner) ? new ConfigReader({ ...this.#json, ...inner }, this.#path) : this;
  }

  #field(field: string, fallback: unknown): unknown {
    return this.has(field) ? this.#json[field] : fallback;
  }
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'missing';
  return json.length > 60 ? `${json.slice(0, 60)}…` : json;
}
