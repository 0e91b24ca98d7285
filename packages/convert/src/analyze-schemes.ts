// Schemes to compare, as text: a codec, and after slashes, in any order, what is not as in the QLoRA paper (blockwise, 64
// values a scale, scales in 8 bits). `nf4`, `nf4/128`, `nf4/plain`, `fp4/zero-point/32/plain`.
import {
  codecNames,
  defaultQuantizationConfig,
  type QuantizationConfig,
  quantizationConfig,
  strategyNames,
} from '@qlora/quant-strategies';
import { QloraError } from '@qlora/tensor';

/** What is compared unless something else is asked for: the paper's scheme, and what changes one thing about it. */
export const DEFAULT_SCHEMES = 'nf4,nf4/plain,nf4/128,nf4/zero-point,nf4/per-channel,fp4';

const PLAIN = 'plain';

/** Strategies that lay scales by the tensor's shape, not by a block size. */
const WITHOUT_BLOCKS: ReadonlySet<string> = new Set(['per-channel']);

/**
 * The name of a scheme: its codec, then the strategy unless it is blockwise, the block size unless it is 64 or there is none,
 * and `plain` if scales are in f32. Two schemes have the same name if and only if they are the same.
 * @example
 * schemeLabel({ scheme: 'nf4', strategy: 'zero-point', blockSize: 128, doubleQuant: false }); // nf4/zero-point/128/plain
 */
export function schemeLabel({ scheme, strategy, blockSize, doubleQuant }: QuantizationConfig): string {
  const { strategy: usual, blockSize: usualSize } = defaultQuantizationConfig;
  const hasSize = blockSize !== usualSize && !WITHOUT_BLOCKS.has(strategy);
  return [
    scheme,
    ...(strategy === usual ? [] : [strategy]),
    ...(hasSize ? [String(blockSize)] : []),
    ...(doubleQuant ? [] : [PLAIN]),
  ].join('/');
}

/**
 * The scheme that a text names.
 * @throws QloraError for what is unknown, listing what is known, and for what is said twice.
 */
export function parseScheme(text: string): QuantizationConfig {
  const [scheme = '', ...parts] = text.split('/').map((part) => part.trim());
  if (!codecNames().includes(scheme)) {
    const known = codecNames().join(', ');
    throw wrong(text, `no codec named "${scheme}"`, `begin with one of ${known}`);
  }
  const said: { strategy?: string; blockSize?: number; doubleQuant?: boolean } = {};
  const say = (part: string, value: typeof said) => {
    const [key] = Object.keys(value) as (keyof typeof said)[];
    if (key && key in said)
      throw wrong(text, `"${part}" says something that was said before`, 'leave one out');
    Object.assign(said, value);
  };
  for (const part of parts) {
    if (part === PLAIN) say(part, { doubleQuant: false });
    else if (/^\d+$/.test(part)) say(part, { blockSize: Number(part) });
    else if (strategyNames().includes(part)) say(part, { strategy: part });
    else {
      const known = strategyNames().join(', ');
      throw wrong(text, `"${part}" is not known`, `known: ${known}, a block size like 128, ${PLAIN}`);
    }
  }
  const strategy = said.strategy ?? defaultQuantizationConfig.strategy;
  if (said.blockSize !== undefined && WITHOUT_BLOCKS.has(strategy))
    throw wrong(text, `${strategy} has no block size`, `leave ${said.blockSize} out`);
  return quantizationConfig({ ...said, scheme });
}

/**
 * Schemes separated by commas.
 * @throws QloraError as {@link parseScheme} does, and if there is none, or one twice.
 */
export function parseSchemes(text: string): QuantizationConfig[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (names.length === 0) throw new QloraError({ what: 'names no scheme', fix: `say ${DEFAULT_SCHEMES}` });
  const schemes = new Map<string, QuantizationConfig>();
  for (const name of names) {
    const scheme = parseScheme(name);
    const label = schemeLabel(scheme);
    if (schemes.has(label)) throw wrong(name, `${label} is there twice`, 'leave one out');
    schemes.set(label, scheme);
  }
  return [...schemes.values()];
}

function wrong(text: string, what: string, fix: string): QloraError {
  return new QloraError({ what, where: `scheme "${text}"`, fix });
}
