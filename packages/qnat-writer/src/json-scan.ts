// What is to be known of a JSON text before it is parsed. JSON.parse builds all that is there, whatever that takes: three
// bytes, `{},`, become some sixty. So brackets and commas are counted first, in one pass over the bytes that makes nothing.
// Two things that JSON.parse lets pass and other parsers refuse are refused here too, so that readers agree on what a file
// is: half a surrogate pair, and numbers beyond f64, which it makes infinite.
import { LIMITS } from './layout';
import type { Refuse } from './refuse';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const U = 0x75;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;
const LIST = 0x5b;
const LIST_END = 0x5d;

/** Refuses a text that nests too deep, holds too many values, or says what only some parsers take. */
export function scanJson(raw: Uint8Array, refuse: Refuse): void {
  let depth = 0;
  let values = 1;
  // Of the objects that are open.
  const keys = new Uint32Array(LIMITS.directoryDepth + 1);
  for (let at = 0; at < raw.length; at++) {
    const byte = raw[at] as number;
    if (byte === QUOTE) at = endOfString(raw, at, refuse);
    else if (byte === MINUS || (byte >= 0x30 && byte <= 0x39)) at = endOfNumber(raw, at, refuse);
    else if (byte === COMMA) values++;
    else if (byte === COLON) {
      const count = (keys[depth] ?? 0) + 1;
      keys[depth] = count;
      if (count > LIMITS.objectKeys)
        refuse('directory-values', `has an object of more than ${LIMITS.objectKeys} keys`);
    } else if (byte === OBJECT || byte === LIST) {
      values++;
      if (++depth > LIMITS.directoryDepth)
        refuse('directory-depth', `is nested deeper than ${LIMITS.directoryDepth} levels`);
      keys[depth] = 0;
    } else if (byte === OBJECT_END || byte === LIST_END) depth--;
    if (values > LIMITS.directoryValues)
      refuse('directory-values', `holds more than ${LIMITS.directoryValues} values`);
  }
}

/** Where a string ends that begins at `start`. */
function endOfString(raw: Uint8Array, start: number, refuse: Refuse): number {
  let at = start + 1;
  for (; at < raw.length && raw[at] !== QUOTE; at++) {
    if (raw[at] !== BACKSLASH) continue;
    at++;
    if (raw[at] !== U) continue;
    const unit = hex(raw, at + 1);
    if (unit >= 0xd800 && unit < 0xe000) {
      const isPair = unit < 0xdc00 && raw[at + 5] === BACKSLASH && raw[at + 6] === U;
      const low = isPair ? hex(raw, at + 7) : 0;
      if (low < 0xdc00 || low >= 0xe000) refuse('directory-text', 'has half a surrogate pair');
      at += 6;
    }
    at += 4;
  }
  return at;
}

/** The number that four hexadecimal digits are; NaN for others, of which JSON.parse complains. */
const hex = (raw: Uint8Array, at: number): number =>
  Number.parseInt(String.fromCharCode(...raw.subarray(at, at + 4)), 16);

/** The last byte of a number. Only one with an exponent or of many digits can be too large. */
function endOfNumber(raw: Uint8Array, start: number, refuse: Refuse): number {
  let end = start + 1;
  let hasExponent = false;
  for (; end < raw.length; end++) {
    const byte = raw[end] as number;
    const isExponent = byte === 0x65 || byte === 0x45;
    hasExponent ||= isExponent;
    const isPart = (byte >= 0x30 && byte <= 0x39) || byte === 0x2e || byte === MINUS || byte === 0x2b;
    if (!isPart && !isExponent) break;
  }
  if (end - start > LIMITS.numberBytes) refuse('directory-text', `a number has ${end - start} characters`);
  if (hasExponent || end - start > 300) {
    const value = Number(String.fromCharCode(...raw.subarray(start, end)));
    if (Math.abs(value) === Number.POSITIVE_INFINITY)
      refuse('directory-text', 'a number is beyond what f64 holds');
  }
  return end - 1;
}
