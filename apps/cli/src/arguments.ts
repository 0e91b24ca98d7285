// Parsers of option values: what comes in is text, and what is wrong is said in one sentence.
import { InvalidArgumentError } from 'commander';

/** A number, in a range if one is given. */
export function number(min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < min || value > max) {
      throw new InvalidArgumentError(`A number${range(min, max)} is needed.`);
    }
    return value;
  };
}

/** A whole number, in a range if one is given. */
export function whole(min = 1, max = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = number(min, max)(text);
    if (!Number.isInteger(value))
      throw new InvalidArgumentError(`A whole number${range(min, max)} is needed.`);
    return value;
  };
}

/** A number above 0. */
export function positive(text: string): number {
  const value = number(0)(text);
  if (value === 0) throw new InvalidArgumentError('A number above 0 is needed.');
  return value;
}

/** A power of two in a range. */
export function powerOfTwo(min: number, max: number) {
  return (text: string): number => {
    const value = number()(text);
    if (value < min || value > max || !Number.isInteger(Math.log2(value)))
      throw new InvalidArgumentError(`A power of two${range(min, max)} is needed.`);
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
