// How something is quantized, as a configuration: of a tensor, and of several that should agree.
import type { QuantizedTensor } from './contract';
import { defaultQuantizationConfig, type QuantizationConfig } from './quantize';

/**
 * The configuration that gives such a tensor. A per-channel tensor's block is a channel; its configuration has the default
 * block size, which means nothing there.
 */
export function quantizationOf(
  quantized: Pick<QuantizedTensor, 'scheme' | 'strategy' | 'blockSize'> &
    ({ readonly scales: Pick<QuantizedTensor['scales'], 'kind'> } | { readonly doubleQuant: boolean }),
): QuantizationConfig {
  const { scheme, strategy } = quantized;
  const doubleQuant = 'doubleQuant' in quantized ? quantized.doubleQuant : quantized.scales.kind === 'double';
  const { blockSize } = strategy === 'per-channel' ? defaultQuantizationConfig : quantized;
  return { scheme, strategy, blockSize, doubleQuant };
}

/** The configuration that all of some share; undefined if there are none, or if two differ. */
export function sharedQuantization(configs: Iterable<QuantizationConfig>): QuantizationConfig | undefined {
  let shared: QuantizationConfig | undefined;
  for (const config of configs) {
    shared ??= config;
    if (!sameQuantization(shared, config)) return undefined;
  }
  return shared;
}

/** Whether two configurations give the same bytes. */
export function sameQuantization(a: QuantizationConfig, b: QuantizationConfig): boolean {
  return (
    a.scheme === b.scheme &&
    a.strategy === b.strategy &&
    a.blockSize === b.blockSize &&
    a.doubleQuant === b.doubleQuant
  );
}

/** `nf4, blocks of 64, scales in 8 bits`: a configuration for people. */
export function describeQuantization({
  scheme,
  strategy,
  blockSize,
  doubleQuant,
}: QuantizationConfig): string {
  const layout = strategy === 'per-channel' ? strategy : `blocks of ${blockSize}`;
  const named = strategy === 'blockwise' || strategy === 'per-channel' ? layout : `${strategy}, ${layout}`;
  return `${scheme}, ${named}, scales in ${doubleQuant ? '8 bits' : 'f32'}`;
}
