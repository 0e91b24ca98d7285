// What --scheme and its kin ask for, held to a model that is in 4 bits already: it is not quantized again, and an option that
// changed nothing would be a lie.
import {
  describeQuantization,
  isQuantizedSource,
  type QuantizationConfig,
  quantizationOf,
  sharedQuantization,
} from '@qlora/quant-strategies';
import { QloraError, type TensorSource } from '@qlora/tensor';

/** The flags of a command line; those that were not given are undefined, `doubleQuant` is true. */
export interface QuantizationFlags {
  readonly scheme?: string | undefined;
  readonly strategy?: string | undefined;
  readonly blockSize?: number | undefined;
  readonly doubleQuant?: boolean | undefined;
}

/**
 * What was asked for, and nothing else.
 * @throws QloraError for a block size where a channel is a block.
 */
export function askedQuantization(flags: QuantizationFlags): Partial<QuantizationConfig> {
  const { scheme, strategy, blockSize, doubleQuant } = flags;
  if (strategy === 'per-channel' && blockSize !== undefined) {
    throw new QloraError({
      what: '--block-size says nothing where --strategy is per-channel',
      fix: 'leave it out: a channel is a block',
    });
  }
  return {
    ...(scheme === undefined ? {} : { scheme }),
    ...(strategy === undefined ? {} : { strategy }),
    ...(blockSize === undefined ? {} : { blockSize }),
    ...(doubleQuant === false ? { doubleQuant } : {}),
  };
}

/** Throws if a model is in 4 bits already, and not as was asked for. */
export function requireQuantization(source: TensorSource, asked: Partial<QuantizationConfig>): void {
  if (!isQuantizedSource(source) || source.quantized.size === 0) return;
  const is = sharedQuantization([...source.quantized.values()].map(quantizationOf));
  const keys = Object.keys(asked) as (keyof QuantizationConfig)[];
  if (keys.every((key) => is?.[key] === asked[key])) return;
  throw new QloraError({
    what: `is in 4 bits already: ${is ? describeQuantization(is) : 'in more than one way'}`,
    where: source.label,
    fix: 'leave out the options that ask for something else, or name the model before it was quantized',
  });
}
