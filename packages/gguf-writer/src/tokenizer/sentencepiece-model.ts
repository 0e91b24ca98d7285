// tokenizer.model of the SentencePiece library: a protobuf message (sentencepiece_model.proto of sentencepiece 0.2). Only what
// concerns tokens is read. The file may come from a stranger: every length is checked before it is followed.
import { QloraError } from '@qlora/tensor';

/** Types of pieces; the numbers are those of llama.cpp's token types too. */
export const PIECE_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** A piece; its index is its id. */
export interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}

/** A SentencePiece model. */
export interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  /** 1 unigram, 2 BPE, 3 word, 4 char. */
  readonly modelType: number;
  readonly spaceAsSuffix: boolean;
  /** Name of the normalization rule. */
  readonly normalizer: string;
  /** Whether that rule changes anything. */
  readonly normalizes: boolean;
  readonly addDummyPrefix: boolean;
  readonly removeExtraSpaces: boolean;
  readonly escapeSpaces: boolean;
}

// Real vocabularies have at most 262 145 pieces.
const MAX_PIECES = 1 << 20;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a tokenizer.model.
 *
 * Every refusal names a rule: `sentencepiece/truncated`, `sentencepiece/varint`, `sentencepiece/wire-type`,
 * `sentencepiece/count`, `sentencepiece/encoding`, `sentencepiece/empty-piece`, `sentencepiece/score`,
 * `sentencepiece/piece-type`, `sentencepiece/no-pieces`.
 */
export function readSentencePiece(bytes: Uint8Array): SentencePieceModel {
  const pieces: Piece[] = [];
  let trainer = new Map<number, Field>();
  let normalizer = new Map<number, Field>();
  for (const field of fields(bytes)) {
    if (field.number === 1) {
      if (pieces.length === MAX_PIECES) refuse('count', `has more than ${MAX_PIECES} pieces`);
      pieces.push(readPiece(message(field), pieces.length));
    } else if (field.number === 2) trainer = message(field);
    else if (field.number === 3) normalizer = message(field);
  }
  if (pieces.length === 0) refuse('no-pieces', 'has no pieces, so it is no SentencePiece model');
  const flag = (of: Map<number, Field>, number: number, fallback: boolean) =>
    integer(of.get(number), fallback ? 1 : 0) !== 0;
  return {
    pieces,
    modelType: integer(trainer.get(3), 1),
    spaceAsSuffix: flag(trainer, 24, false),
    normalizer: text(normalizer.get(1), 'normalizer'),
    normalizes: (normalizer.get(2)?.bytes.length ?? 0) > 0,
    addDummyPrefix: flag(normalizer, 3, true),
    removeExtraSpaces: flag(normalizer, 4, true),
    escapeSpaces: flag(normalizer, 5, true),
  };
}

function readPiece(fields: Map<number, Field>, id: number): Piece {
  const piece = text(fields.get(1), `piece ${id}`);
  if (piece === '') refuse('empty-piece', `piece ${id} has no text`);
  const score = fields.get(2);
  if (score && score.bytes.length !== 4) refuse('score', `the score of piece ${id} is no f32`);
  const value = score ? new DataView(score.bytes.buffer, score.bytes.byteOffset).getFloat32(0, true) : 0;
  if (!Number.isFinite(value)) refuse('score', `the score of piece ${id} is ${value}`);
  const type = integer(fields.get(3), PIECE_TYPE.normal);
  if (!(type >= 1 && type <= 6)) refuse('piece-type', `piece ${id} is of type ${type}, 1 to 6 are known`);
  return { text: piece, score: value, type };
}

/** A field of a message: a number, or bytes. */
interface Field {
  readonly number: number;
  readonly value: bigint;
  readonly bytes: Uint8Array;
}

/** The fields of a message by number; of one that is there several times, the last counts. */
function message(field: Field): Map<number, Field> {
  return new Map([...fields(field.bytes)].map((inner) => [inner.number, inner]));
}

function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) return refuse('truncated', 'ends within a number');
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    return refuse('varint', 'has a number of more than ten bytes');
  };
  const take = (length: bigint): Uint8Array => {
    if (length > BigInt(bytes.length - at))
      refuse('truncated', `a field of ${length} bytes goes beyond the end`);
    const start = at;
    at += Number(length);
    return bytes.subarray(start, at);
  };
  while (at < bytes.length) {
    const key = varint();
    const number = Number(key >> 3n);
    const wire = Number(key & 7n);
    const none = bytes.subarray(0, 0);
    if (wire === 0) yield { number, value: varint(), bytes: none };
    else if (wire === 1) yield { number, value: 0n, bytes: take(8n) };
    else if (wire === 2) yield { number, value: 0n, bytes: take(varint()) };
    else if (wire === 5) yield { number, value: 0n, bytes: take(4n) };
    else refuse('wire-type', `has a field of wire type ${wire}`);
  }
}

function integer(field: Field | undefined, fallback: number): number {
  return field === undefined ? fallback : Number(BigInt.asIntN(64, field.value));
}

function text(field: Field | undefined, what: string): string {
  if (!field) return '';
  try {
    return decoder.decode(field.bytes);
  } catch {
    return refuse('encoding', `the text of ${what} is no UTF-8`);
  }
}

function refuse(rule: string, what: string): never {
  throw new QloraError({
    what,
    where: 'tokenizer.model',
    fix: 'give the tokenizer.model of a SentencePiece tokenizer, or a folder without one',
    rule: `sentencepiece/${rule}`,
  });
}
