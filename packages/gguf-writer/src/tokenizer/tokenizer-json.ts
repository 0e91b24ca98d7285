// tokenizer.json of Hugging Face's tokenizers library, as far as it concerns BPE, checked: the file may come from a
// stranger, and llama.cpp's converter takes much of it on trust.
import { QloraError } from '@qlora/tensor';

/** A token beside the model's vocabulary, matched in the text before anything else. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Takes spaces beside it along, or wants word boundaries: llama.cpp does neither. */
  readonly greedy: boolean;
}

/** A BPE tokenizer. */
export interface BpeTokenizer {
  readonly vocab: ReadonlyMap<string, number>;
  readonly merges: readonly (readonly [left: string, right: string])[];
  readonly added: readonly AddedToken[];
  readonly byteFallback: boolean;
  readonly ignoreMerges: boolean;
  /** Steps of the normalizer, sequences flattened. */
  readonly normalizers: readonly Step[];
  /** Steps of the pre-tokenizer, sequences flattened. */
  readonly preTokenizers: readonly Step[];
  readonly postProcessors: readonly Step[];
}

/** A step of a pipeline: an object with a type. */
export interface Step {
  readonly type: string;
  readonly [option: string]: unknown;
}

/** Throws, saying where in tokenizer.json. */
export function refuseTokenizer(field: string, what: string, fix?: string): never {
  throw new QloraError({ what, where: ['tokenizer.json', field], ...(fix ? { fix } : {}) });
}

/**
 * Reads a BPE tokenizer.
 * @throws QloraError naming the field that is wrong, or that llama.cpp has no form of.
 */
export function parseBpe(json: Readonly<Record<string, unknown>>): BpeTokenizer {
  const model = asObject(json.model, 'model');
  if (model.type !== 'BPE') {
    refuseTokenizer('model', `is of type ${shown(model.type)}`, 'BPE can be written to GGUF so far');
  }
  for (const field of ['continuing_subword_prefix', 'end_of_word_suffix', 'dropout'] as const) {
    if (model[field])
      refuseTokenizer(`model.${field}`, `is ${shown(model[field])}`, 'llama.cpp has no such thing');
  }
  const vocab = parseVocab(model.vocab);
  return {
    vocab,
    merges: parseMerges(model.merges, vocab),
    added: parseAdded(json.added_tokens),
    byteFallback: model.byte_fallback === true,
    ignoreMerges: model.ignore_merges === true,
    normalizers: steps(json.normalizer, 'normalizers', 'normalizer'),
    preTokenizers: steps(json.pre_tokenizer, 'pretokenizers', 'pre_tokenizer'),
    postProcessors: parsePostProcessors(json),
  };
}

/** The steps of tokenizer.json's post-processor. */
export function parsePostProcessors(json: Readonly<Record<string, unknown>>): Step[] {
  return steps(json.post_processor, 'processors', 'post_processor');
}

/** A short form of any value for a message. */
export function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'missing';
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}

function asObject(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  return refuseTokenizer(field, `is ${shown(value)}`, 'an object is needed');
}

function asId(value: unknown, field: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  return refuseTokenizer(field, `an id is ${shown(value)}`, 'a non-negative integer is needed');
}

function parseVocab(value: unknown): Map<string, number> {
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(asObject(value, 'model.vocab'))) {
    vocab.set(token, asId(id, 'model.vocab'));
  }
  return vocab;
}

function parseMerges(value: unknown, vocab: ReadonlyMap<string, number>): [string, string][] {
  if (!Array.isArray(value)) return refuseTokenizer('model.merges', `is ${shown(value)}`, 'a list is needed');
  return value.map((merge: unknown, rank): [string, string] => {
    // A string in files of before 2024, since then a pair, so that tokens may have spaces in them.
    const [left, right, ...rest]: unknown[] =
      typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    if (typeof left !== 'string' || typeof right !== 'string' || rest.length > 0) {
      return refuseTokenizer('model.merges', `merge ${rank} is ${shown(merge)}`, 'two tokens are needed');
    }
    const unknown = [left, right, left + right].find((token) => !vocab.has(token));
    if (unknown !== undefined) {
      refuseTokenizer(
        'model.merges',
        `merge ${rank} needs ${shown(unknown)}, which is not in the vocabulary`,
      );
    }
    return [left, right];
  });
}

/** A list of added tokens, checked. */
export function parseAdded(value: unknown): AddedToken[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return refuseTokenizer('added_tokens', `is ${shown(value)}`, 'a list is needed');
  return value.map((item: unknown) => {
    const token = asObject(item, 'added_tokens');
    if (typeof token.content !== 'string' || token.content === '') {
      return refuseTokenizer('added_tokens', `has the content ${shown(token.content)}`, 'a text is needed');
    }
    return {
      id: asId(token.id, 'added_tokens'),
      content: token.content,
      special: token.special === true,
      greedy: token.lstrip === true || token.rstrip === true || token.single_word === true,
    };
  });
}

/** The steps of a pipeline, `Sequence`s flattened; those nest no deeper than a few levels in any real file. */
function steps(value: unknown, sequenceField: string, field: string, depth = 0): Step[] {
  if (value === undefined || value === null) return [];
  const step = asObject(value, field);
  if (typeof step.type !== 'string') return refuseTokenizer(field, `has the type ${shown(step.type)}`);
  if (step.type !== 'Sequence') return [step as Step];
  const inner = step[sequenceField];
  if (!Array.isArray(inner) || depth > 8) return refuseTokenizer(field, 'is a sequence of nothing known');
  return inner.flatMap((item: unknown) => steps(item, sequenceField, field, depth + 1));
}
