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
