// Parsers of option values: what comes in is text, and what is wrong is said in one sentence.
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

function range(min: number, max: number): string {
  const low = min > -Number.MAX_SAFE_INTEGER ? ` from ${min}` : '';
  const high = max < Number.MAX_SAFE_INTEGER ? ` to ${max}` : '';
  return low + high;
}
