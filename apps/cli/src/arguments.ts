// Parsers of option values: what comes in is text, and what is wrong is said in one sentence.
import { parseSchemes } from '@qlora/convert';
import type { WeightedAdapter } from '@qlora/peft/node';
import type { QuantizationConfig } from '@qlora/quant-strategies';
import { QloraError } from '@qlora/tensor';
import { InvalidArgumentError } from 'commander';

/** A number, in a range if one is given. */
export function number(min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY) {
  return parser(`A number${range(min, max)}`, (value) => value >= min && value <= max);
}

/** A number above 0. */
export const positive = parser('A number above 0', (value) => value > 0);

/** A whole number, in a range if one is given. */
export function whole(min = 1, max = Number.MAX_SAFE_INTEGER) {
  return parser(
    `A whole number${range(min, max)}`,
    (value) => Number.isInteger(value) && value >= min && value <= max,
  );
}

/** A power of two in a range. */
export function powerOfTwo(min: number, max: number) {
  return parser(
    `A power of two${range(min, max)}`,
    (value) => Number.isInteger(Math.log2(value)) && value >= min && value <= max,
  );
}

/** A parser of finite numbers that pass a check. */
function parser(needed: string, valid: (value: number) => boolean) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || !valid(value))
      throw new InvalidArgumentError(`${needed} is needed.`);
    return value;
  };
}

/** `all-linear`, or names separated by commas. */
export function targetModules(text: string): string | string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (names.length === 0)
    throw new InvalidArgumentError('all-linear, or names like q_proj,v_proj are needed.');
  return names.length === 1 && names[0] === 'all-linear' ? 'all-linear' : names;
}

/**
 * An adapter folder, or one with a weight behind a colon: `pirate`, `pirate:0.5`. Can be given several times.
 * @param before those that came before it.
 */
export function adapters(text: string, before: readonly WeightedAdapter[] = []): WeightedAdapter[] {
  const [, path, digits] = /^(.+):([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)$/i.exec(text) ?? [];
  const weight = Number(digits);
  if (text === '' || (path !== undefined && !Number.isFinite(weight)))
    throw new InvalidArgumentError('A folder, or a folder and its weight like pirate:0.5 are needed.');
  return [...before, path === undefined ? { path: text } : { path, weight }];
}

const units: Readonly<Record<string, number>> = { '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** A number of bytes: `5GB`, `500MB`, `1000000`. Units are powers of 1000, as Hugging Face has them. */
export function size(text: string): number {
  const [, digits, unit = ''] = /^\s*([\d.]+)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const factor = units[unit.toUpperCase()];
  const value = Number(digits) * (factor ?? Number.NaN);
  if (!Number.isFinite(value) || value < 1)
    throw new InvalidArgumentError('A size like 5GB or 500MB is needed.');
  return Math.floor(value);
}

/** One of several processes: `2/4`. */
export function share(text: string): { index: number; count: number } {
  const [, index, count] = /^\s*(\d{1,6})\s*\/\s*(\d{1,6})\s*$/.exec(text) ?? [];
  const parsed = { index: Number(index), count: Number(count) };
  if (!(parsed.index >= 1 && parsed.index <= parsed.count))
    throw new InvalidArgumentError('A share like 1/4 (the first of four) is needed.');
  return parsed;
}

/** Schemes to compare, separated by commas: `nf4,fp4/128`. */
export function schemes(text: string): QuantizationConfig[] {
  try {
    return parseSchemes(text);
  } catch (error) {
    if (error instanceof QloraError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** Names separated by commas. */
export function names(text: string): string[] {
  const found = text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (found.length === 0) throw new InvalidArgumentError('Names separated by commas are needed.');
  return found;
}

function range(min: number, max: number): string {
  const low = min > -Number.MAX_SAFE_INTEGER ? ` from ${min}` : '';
  const high = max < Number.MAX_SAFE_INTEGER ? ` to ${max}` : '';
  return low + high;
}
