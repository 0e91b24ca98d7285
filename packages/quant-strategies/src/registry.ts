// The registry of codecs and strategies, by the names that files and options use. A new one is a file of its own and a
// call of `registerCodec` or `registerStrategy` (or a line here).
import { fp4, nf4 } from '@qlora/nf4';
import { QloraError } from '@qlora/tensor';
import { blockwise } from './blockwise';
import type { Codec, QuantStrategy } from './contract';
import { perChannel } from './per-channel';
import { zeroPoint } from './zero-point';

const codecs = new Map<string, Codec>([nf4, fp4].map((codec) => [codec.name, codec]));
const strategies = new Map<string, QuantStrategy>([blockwise, perChannel, zeroPoint].map((s) => [s.name, s]));

function find<T>(kind: string, known: ReadonlyMap<string, T>, name: string): T {
  const found = known.get(name);
  if (found) return found;
  throw new QloraError({ what: `no ${kind} named "${name}"`, fix: `known: ${[...known.keys()].join(', ')}` });
}

/** The codec of that name. @throws QloraError listing the known ones. */
export function codecOf(name: string): Codec {
  return find('codec', codecs, name);
}

/** The strategy of that name. @throws QloraError listing the known ones. */
export function strategyOf(name: string): QuantStrategy {
  return find('strategy', strategies, name);
}

/** Names of all codecs. */
export const codecNames = (): string[] => [...codecs.keys()];

/** Names of all strategies. */
export const strategyNames = (): string[] => [...strategies.keys()];

/** Makes a codec known under its name. @throws QloraError if the name is taken. */
export function registerCodec(codec: Codec): void {
  register('codec', codecs, codec);
}

/** Makes a strategy known under its name. @throws QloraError if the name is taken. */
export function registerStrategy(strategy: QuantStrategy): void {
  register('strategy', strategies, strategy);
}

function register<T extends { name: string }>(kind: string, known: Map<string, T>, item: T): void {
  if (known.has(item.name) && known.get(item.name) !== item) {
    throw new QloraError({ what: `a ${kind} named "${item.name}" exists already` });
  }
  known.set(item.name, item);
}
