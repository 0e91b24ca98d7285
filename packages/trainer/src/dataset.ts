// Training data as token ids with a mask of what counts. Text is cut into windows; JSON lines become one example each.
import type { ChatMessage, Tokenizer } from '@qlora/models';
import { located, QloraError } from '@qlora/tensor';

/** One sequence to learn from. */
export interface Example {
  /** What the model sees. */
  readonly input: Int32Array;
  /** What it should say after each input token; IGNORE_INDEX (-100) where nothing is asked. Same length. */
  readonly target: Int32Array;
}

const IGNORE = -100;

/**
 * Windows of `sequenceLength` tokens over a text, each after a begin token where the tokenizer has one, so that every
 * token of a window is predicted. Without a begin token the first token of a window is seen but not predicted. A last
 * window may be short; one that predicts nothing is left out.
 */
export function textWindows(
  ids: readonly number[],
  sequenceLength: number,
  bosId: number | undefined,
): Example[] {
  const examples: Example[] = [];
  for (let start = 0; start < ids.length; start += sequenceLength) {
    const window = ids.slice(start, start + sequenceLength);
    const full = bosId === undefined ? window : [bosId, ...window];
    if (full.length < 2) continue;
    examples.push({ input: Int32Array.from(full.slice(0, -1)), target: Int32Array.from(full.slice(1)) });
  }
  return examples;
}

/** A parsed line of a JSONL file: plain text, a prompt with the completion to learn, or a chat. */
export type DataRecord =
  | { readonly text: string }
  | { readonly prompt: string; readonly completion: string }
  | { readonly messages: readonly ChatMessage[] };

/**
 * Reads a JSONL text. Each line has `text`, or `prompt` and `completion`, or `messages`, the last of the assistant.
 * @throws QloraError naming the line that is wrong.
 */
export function parseJsonLines(content: string, where: string): DataRecord[] {
  return [...numberedRecords(content, where)].map(({ record }) => record);
}

function* numberedRecords(content: string, where: string): Generator<{ line: string; record: DataRecord }> {
  for (const [index, text] of content.split('\n').entries()) {
    if (text.trim() === '') continue;
    const line = `line ${index + 1}`;
    const refuse = (what: string, fix: string, cause?: unknown): never => {
      throw new QloraError({ what, where: [where, line], fix, cause });
    };
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (cause) {
      refuse(`is no JSON: ${(cause as Error).message}`, 'one JSON object a line is needed', cause);
    }
    const record = toRecord(json);
    if (!record) {
      return refuse(
        'has none of the known fields',
        'give "text", or "prompt" and "completion", or "messages" with role and content, as strings',
      );
    }
    const last = 'messages' in record ? record.messages.at(-1)?.role : 'assistant';
    if (last !== 'assistant')
      return refuse(`the last message is of "${last}"`, 'end with what the "assistant" is to learn to say');
    yield { line, record };
  }
}

/** What a line says, by its first kind that is whole; other fields, null ones among them, do not matter. */
function toRecord(value: unknown): DataRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { text, prompt, completion, messages } = value as Record<string, unknown>;
  if (typeof text === 'string') return { text };
  if (typeof prompt === 'string' && typeof completion === 'string') return { prompt, completion };
  const isMessage = (m: unknown): m is ChatMessage =>
    typeof m === 'object' &&
    m !== null &&
    typeof (m as ChatMessage).role === 'string' &&
    typeof (m as ChatMessage).content === 'string';
  return Array.isArray(messages) && messages.length > 0 && messages.every(isMessage)
    ? { messages }
    : undefined;
}

/**
 * One example a record, cut to `sequenceLength` tokens. Of a prompt with its completion only the completion is learnt;
 * of a chat only what the assistant says last; of a text all. An end token follows what is learnt. A record of which
 * nothing is left to learn is left out.
 */
export function recordExamples(
  records: readonly DataRecord[],
  tokenizer: Tokenizer,
  sequenceLength: number,
): Example[] {
  return records.flatMap((record) => {
    const { seen, learnt } = split(record, tokenizer);
    const full = [...seen, ...learnt].slice(0, sequenceLength + 1);
    const target = full.slice(1).map((id, i) => (i + 1 < seen.length ? IGNORE : id));
    if (target.every((id) => id === IGNORE)) return [];
    return [{ input: Int32Array.from(full.slice(0, -1)), target: Int32Array.from(target) }];
  });
}

/** Token ids that are given and those that are to be learnt. */
function split(record: DataRecord, tokenizer: Tokenizer): { seen: number[]; learnt: number[] } {
  const end = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
  const begin = tokenizer.bosId === undefined ? [] : [tokenizer.bosId];
  if ('text' in record)
    return { seen: begin, learnt: [...tokenizer.encode(record.text, { special: false }), ...end] };
  if ('prompt' in record) {
    // Tokenized as one text, so that tokens across the seam are those that the model will meet.
    const seen = tokenizer.encode(record.prompt);
    const all = tokenizer.encode(record.prompt + record.completion);
    const shared = commonPrefix(seen, all);
    return { seen: all.slice(0, shared), learnt: [...all.slice(shared), ...end] };
  }
  const plain = (text: string) => tokenizer.encode(text, { special: false });
  const all = plain(tokenizer.chat(record.messages));
  const before = plain(tokenizer.chat(record.messages.slice(0, -1), { addGenerationPrompt: true }));
  const shared = commonPrefix(before, all);
  return { seen: all.slice(0, shared), learnt: all.slice(shared) };
}

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/**
 * Examples from the content of a data file, by its name: `.jsonl` records, anything else text.
 * @throws QloraError if there is nothing to learn from, or a line is wrong.
 */
export function loadExamples(
  content: string,
  fileName: string,
  tokenizer: Tokenizer,
  sequenceLength: number,
): Example[] {
  if (!fileName.endsWith('.jsonl')) {
    const ids = content.trim() === '' ? [] : tokenizer.encode(content, { special: false });
    const windows = textWindows(ids, sequenceLength, tokenizer.bosId);
    if (windows.length > 0) return windows;
    throw nothing(fileName, 'give a file with text');
  }
  const examples: Example[] = [];
  let records = 0;
  for (const { line, record } of numberedRecords(content, fileName)) {
    records++;
    try {
      examples.push(...recordExamples([record], tokenizer, sequenceLength));
    } catch (error) {
      throw located(`${fileName}: ${line}`, error);
    }
  }
  if (examples.length > 0) return examples;
  if (records === 0) throw nothing(fileName, 'give a file with records in JSON lines');
  throw nothing(
    fileName,
    'use a longer sequence length',
    `: in none of its ${records} records does what is to be learnt begin within ${sequenceLength} tokens`,
  );
}

function nothing(where: string, fix: string, why = ''): QloraError {
  return new QloraError({ what: `has nothing to learn from${why}`, where, fix });
}
