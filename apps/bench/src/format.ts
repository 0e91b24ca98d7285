// Numbers as people read them.
import type { Unit } from './cases';

/** Seconds: `12 s`, `3 min 5 s`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A time in milliseconds, with three digits and a fitting unit. */
export function time(ms: number): string {
  if (ms >= 1000) return `${digits(ms / 1000)} s`;
  return ms >= 1 ? `${digits(ms)} ms` : `${digits(ms * 1000)} µs`;
}

/** Three digits, without an exponent: `1230`, `12.3`, `0.123`. */
export function digits(value: number): string {
  if (value === 0) return '0';
  const before = Math.floor(Math.log10(Math.abs(value))) + 1;
  return value.toFixed(Math.max(0, 3 - before));
}

/** What a rate is called and what a second's work is divided by. */
export const rateUnits: Readonly<Record<Unit, { readonly name: string; readonly scale: number }>> = {
  'bytes of f32': { name: 'GB/s', scale: 1e9 },
  'floating-point operations': { name: 'GFLOP/s', scale: 1e9 },
  tokens: { name: 'tokens/s', scale: 1 },
};

/** Work of `amount` in `ms` milliseconds, in the unit's own rate. */
export const rateOf = (amount: number, ms: number, unit: Unit) =>
  (amount / ms) * (1000 / rateUnits[unit].scale);

/** A rate with its unit. */
export const rate = (amount: number, ms: number, unit: Unit) =>
  `${digits(rateOf(amount, ms, unit))} ${rateUnits[unit].name}`;

/** Bytes: `2.31 GB`. */
export function bytes(count: number): string {
  if (count >= 1e9) return `${digits(count / 1e9)} GB`;
  return count >= 1e6 ? `${digits(count / 1e6)} MB` : `${digits(count / 1e3)} KB`;
}

/** `1 thread`, `2 threads`. */
export const threadCount = (count: number) => `${count} ${count === 1 ? 'thread' : 'threads'}`;

/** Peaks of memory by what holds it, in words. */
export const memoryText = (memory: Readonly<Record<string, number>>) =>
  Object.entries(memory)
    .map(([holder, peak]) => `${memoryNames[holder] ?? holder} ${bytes(peak)}`)
    .join(', ');

const memoryNames: Readonly<Record<string, string>> = {
  process: 'of the process',
  steps: 'of the process during steps',
  backend: 'in the backend',
};
