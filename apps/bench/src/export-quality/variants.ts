// The ways in which a model that was fine-tuned in 4 bits can leave for llama.cpp: which weights the adapter goes into, how, and
// in which type they are stored.
import type { GgufType } from '@qlora/gguf-writer';

/**
 * The weights under the adapter: those that it was trained against (4-bit, dequantized), the original ones, or, merged, in 4
 * bits again.
 */
export type BaseWeights = 'four-bit' | 'original' | 'four-bit again';

/** A file or two of them, and how llama.cpp runs them. */
export interface Variant {
  readonly weights: BaseWeights;
  readonly adapter: 'none' | 'merged' | 'at run time';
  readonly type: GgufType;
}

const each = (weights: BaseWeights, adapter: Variant['adapter'], types: readonly GgufType[]): Variant[] =>
  types.map((type) => ({ weights, adapter, type }));

/** Types that the merged model is tried in; the others take some of them. */
export const QUALITY_TYPES = [
  'f32',
  'f16',
  'bf16',
  'q8_0',
  'q6_k',
  'q5_k_m',
  'q4_k_m',
  'q4_0',
  'iq4_nl',
  'iq4_xs',
] as const satisfies readonly GgufType[];

/** All that is tried, in the order of the table. */
export const VARIANTS: readonly Variant[] = [
  ...each('four-bit', 'none', ['f16']),
  ...each('four-bit', 'merged', QUALITY_TYPES),
  ...each('four-bit', 'at run time', ['f16', 'q8_0', 'q4_k_m']),
  ...each('original', 'merged', ['f16', 'q8_0', 'q4_k_m']),
  ...each('original', 'at run time', ['f16']),
  ...each('four-bit again', 'merged', ['f16']),
];

/** A variant's name in tables and results. */
export const variantName = ({ weights, adapter, type }: Variant): string =>
  `${NAMES[weights]}, ${adapter === 'none' ? 'no adapter' : adapter}, ${type}`;

const NAMES: Readonly<Record<BaseWeights, string>> = {
  'four-bit': '4-bit',
  original: 'original',
  'four-bit again': '4-bit again',
};
