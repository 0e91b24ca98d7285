// Values of options, checked as they are read.
import { InvalidArgumentError } from 'commander';
import { PEER_NAMES, type PeerName } from './peers';

/** A whole number from `least` on. */
export const whole =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`It must be a whole number from ${least} on.`);
    return value;
  };

/** A number from 0 on. */
export function share(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && Number.isFinite(value)) || text.trim() === '')
    throw new InvalidArgumentError('It must be a number from 0 on, such as 0.1.');
  return value;
}

/** Numbers of threads: `1,2`. */
export function threadList(text: string): number[] {
  const counts = text.split(',').map(whole(1));
  return [...new Set(counts)].sort((a, b) => a - b);
}

const UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** A number of bytes, in powers of 1000: `20GB`, `500MB`. */
export function byteCount(text: string): number {
  const [, digits, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const value = Math.floor(Number(digits) * (UNITS[unit.toUpperCase()] ?? Number.NaN));
  if (!(value >= 1)) throw new InvalidArgumentError('It must be a size such as 20GB or 500MB.');
  return value;
}

/** Some of a list of names, in its order: `a,b`. */
export const someOf =
  <T extends string>(names: readonly T[]) =>
  (text: string): T[] => {
    const wanted = new Set(text.split(',').map((name) => name.trim()));
    const unknown = [...wanted].filter((name) => !(names as readonly string[]).includes(name));
    if (unknown.length > 0)
      throw new InvalidArgumentError(`${unknown.join(', ')} is none of ${names.join(', ')}.`);
    return names.filter((name) => wanted.has(name));
  };

/** Programs that somebody can ask for; ours is always measured, and so is a copy. */
export const ASKABLE: readonly PeerName[] = PEER_NAMES.filter((name) => name !== 'qlora' && name !== 'copy');

/** Peers: `none`, `all`, or names. */
export function peerList(text: string): ReadonlySet<PeerName> {
  if (text === 'none') return new Set();
  if (text === 'all') return new Set(ASKABLE);
  const names = text.split(',').map((name) => name.trim());
  const isPeer = (name: string): name is PeerName => (ASKABLE as readonly string[]).includes(name);
  const unknown = names.filter((name) => !isPeer(name));
  if (unknown.length > 0)
    throw new InvalidArgumentError(`${unknown.join(', ')} is none of ${ASKABLE.join(', ')}, none, all.`);
  return new Set(names.filter(isPeer));
}
