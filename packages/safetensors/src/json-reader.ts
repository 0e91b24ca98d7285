// JSON read from its bytes, piece by piece, by a caller who knows what must come next. JSON.parse would do
// for honest files; for the directory of a file that lies it does too much: it keeps the last of two equal
// keys and says nothing, takes 4.0, 4e0 and -0 for whole numbers, rounds those above 2^53, lets half a
// surrogate pair pass, and builds whatever is there before anything can be said about it. The grammar is that
// of serde_json 1.0, which the reference implementation uses. Memory goes into the strings that the caller
// asks for and into nothing else.

/** What a text can break by itself: it is no UTF-8, or no JSON. */
export type JsonFault = 'invalid-utf8' | 'invalid-json';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const ZERO = 0x30;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;
const LIST = 0x5b;
const LIST_END = 0x5d;

/** What the letter of a short escape stands for. */
const ESCAPES = new Map(
  [...'"\\/bfnrt'].map((letter, i) => [letter.charCodeAt(0), '"\\/\b\f\n\r\t'.charCodeAt(i)]),
);

/** How deep a value may nest that is passed over; serde_json's own limit. */
const MAX_DEPTH = 128;

/** A position in a JSON text, moved on by what is read from it. */
export class JsonReader {
  private at = 0;
  private readonly bytes: Uint8Array;
  private readonly refuse: (fault: JsonFault, what: string) => never;

  /** @param refuse throws what the caller throws. */
  constructor(bytes: Uint8Array, refuse: (fault: JsonFault, what: string) => never) {
    this.bytes = bytes;
    this.refuse = refuse;
  }

  /** Whether an object comes next. */
  isObject(): boolean {
    return this.next() === OBJECT;
  }

  /** Whether a list comes next. */
  isList(): boolean {
    return this.next() === LIST;
  }

  /** Whether a string comes next. */
  isString(): boolean {
    return this.next() === QUOTE;
  }

  /** Reads an object. `member` is called after each key and must read the value. Keys may come twice. */
  object(member: (key: string) => void): void {
    this.take(OBJECT, '{');
    if (this.passed(OBJECT_END)) return;
    do {
      const key = this.string();
      this.take(COLON, ':');
      member(key);
    } while (this.passed(COMMA));
    this.take(OBJECT_END, ', or }');
  }

  /** Reads a list. `item` is called before each item and must read it. */
  list(item: () => void): void {
    this.take(LIST, '[');
    if (this.passed(LIST_END)) return;
    do {
      if (this.next() === LIST_END) this.unexpected('a value');
      item();
    } while (this.passed(COMMA));
    this.take(LIST_END, ', or ]');
  }

  /**
   * Reads a whole number from 0 on that is written in digits alone; Infinity if it is above 2^53 − 1. NaN if
   * something else comes next, and then nothing is read: a sign, a fraction or an exponent (4.0 and 4e0 are
   * no whole numbers to serde_json), a leading zero, no number.
   */
  wholeNumber(): number {
    const { bytes } = this;
    const first = this.next();
    let value = 0;
    let at = this.at;
    for (let byte = bytes[at]; byte !== undefined && byte >= ZERO && byte <= ZERO + 9; byte = bytes[++at])
      value = value * 10 + (byte - ZERO);
    const digits = at - this.at;
    const after = bytes[at];
    const isFloat = after === 0x2e || after === 0x45 || after === 0x65; // . E e
    if (digits === 0 || isFloat || (first === ZERO && digits > 1)) return Number.NaN;
    this.at = at;
    return value > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : value;
  }

  /** Reads a string. */
  string(): string {
    const { bytes } = this;
    this.take(QUOTE, 'a string');
    const start = this.at;
    let isAscii = true;
    let isEscaped = false;
    let end = start;
    for (let byte = bytes[end]; byte !== QUOTE; byte = bytes[++end]) {
      if (byte === undefined) return this.unexpected('the end of a string');
      if (byte < 0x20) return this.unexpected('control characters to be escaped', end);
      if (byte >= 0x80) isAscii = false;
      if (byte === BACKSLASH) {
        isEscaped = true;
        end++; // what is escaped is looked at below; a quote here ends nothing
      }
    }
    this.at = end + 1;
    if (isEscaped) return this.decode(this.unescape(start, end));
    // `apply` takes no more arguments than the stack has room for.
    if (isAscii && end - start <= 1024)
      return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
    // A copy, because a decoder may refuse memory that is shared between threads.
    return this.decode(bytes.slice(start, end));
  }

  /** Passes over a value of any kind. */
  skip(depth = 1): void {
    if (depth > MAX_DEPTH) this.unexpected(`no more than ${MAX_DEPTH} levels`);
    if (this.isObject()) this.object(() => this.skip(depth + 1));
    else if (this.isList()) this.list(() => this.skip(depth + 1));
    else if (this.isString()) this.string();
    else {
      const start = this.at;
      for (let byte = this.next(); byte !== undefined && byte > 0x20; byte = this.bytes[++this.at])
        if (byte === COMMA || byte === OBJECT_END || byte === LIST_END) break;
      const word = this.decode(this.bytes.slice(start, this.at));
      if (!/^(null|true|false|-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?)$/.test(word))
        this.unexpected('a value', start);
    }
  }

  /** Refuses anything but whitespace up to the end. */
  end(): void {
    if (this.next() !== undefined) this.unexpected('nothing more');
  }

  /** The beginning of what comes next, as it is written, for messages. */
  excerpt(): string {
    this.next();
    return new TextDecoder().decode(this.bytes.slice(this.at, this.at + 40));
  }

  /** The next byte that is no whitespace, which stays; undefined at the end. */
  private next(): number | undefined {
    for (;;) {
      const byte = this.bytes[this.at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.at++;
    }
  }

  private passed(byte: number): boolean {
    if (this.next() !== byte) return false;
    this.at++;
    return true;
  }

  private take(byte: number, expected: string): void {
    if (!this.passed(byte)) this.unexpected(expected);
  }

  private unexpected(expected: string, at = this.at): never {
    const byte = this.bytes[at] ?? -1;
    const isShown = byte > 0x20 && byte < 0x7f;
    const shown = isShown ? String.fromCharCode(byte) : `byte 0x${byte.toString(16).padStart(2, '0')}`;
    const found = byte < 0 ? 'it ends' : `there is ${shown}`;
    return this.refuse('invalid-json', `at byte ${at} ${expected} must come, but ${found}`);
  }

  /** The UTF-8 of a string with escapes; never longer than how it was written. */
  private unescape(start: number, end: number): Uint8Array {
    const { bytes } = this;
    const text = new Uint8Array(end - start);
    let length = 0;
    for (let at = start; at < end; ) {
      const byte = bytes[at] as number;
      if (byte !== BACKSLASH) {
        text[length++] = byte;
        at++;
        continue;
      }
      const letter = bytes[at + 1] as number;
      if (letter !== 0x75) {
        text[length++] = ESCAPES.get(letter) ?? this.unexpected('an escape', at);
        at += 2;
        continue;
      }
      let code = this.hex(at, end);
      at += 6;
      if (code >= 0xd800 && code < 0xe000) {
        const low = bytes[at] === BACKSLASH && bytes[at + 1] === 0x75 ? this.hex(at, end) : 0;
        if (code >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
          this.unexpected('a whole surrogate pair', at - 6);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      }
      length += putUtf8(text, length, code);
    }
    return text.subarray(0, length);
  }

  /** The number in a \uXXXX. */
  private hex(at: number, end: number): number {
    let value = 0;
    for (let i = at + 2; i < at + 6; i++) {
      const byte = i < end ? (this.bytes[i] as number) : 0;
      const letter = byte | 0x20;
      if (byte >= ZERO && byte <= ZERO + 9) value = 16 * value + byte - ZERO;
      else if (letter >= 0x61 && letter <= 0x66) value = 16 * value + letter - 0x61 + 10;
      else this.unexpected('four hexadecimal digits', at);
    }
    return value;
  }

  private decode(utf8: Uint8Array): string {
    try {
      // A byte order mark inside a text is a character like any other.
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(utf8);
    } catch {
      return this.refuse('invalid-utf8', `the string that ends at byte ${this.at} is no UTF-8`);
    }
  }
}

/** Writes the UTF-8 of a code point; returns how many bytes that were. */
function putUtf8(to: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    to[at] = code;
    return 1;
  }
  const count = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (let i = count - 1; i > 0; i--) {
    to[at + i] = 0x80 | (code & 0x3f);
    code >>= 6;
  }
  to[at] = ((0xf00 >> count) & 0xff) | code;
  return count;
}
