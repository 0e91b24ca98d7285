// Where the 16 values of NF4 come from (Dettmers et al. 2023, "QLoRA", section 3 and appendix E): quantiles of the standard
// normal distribution at even steps of probability, eight above zero and seven below, and zero itself, over the largest.
// So each value stands for about the same share of normally distributed weights, and zero has a code.
//
// Steps and roundings are those of bitsandbytes' create_normal_map (functional.py, version 0.50.2), which takes them from
// torch.linspace in f32 and quantiles from scipy: with its offset the values come out equal to NF4_CODEBOOK, bit for bit.
// In real numbers, without those roundings, they differ from the constants by up to 1.1e-7.
import { QloraError } from '@qlora/tensor';
import { normalQuantile } from './normal-quantile';

/** Options of {@link deriveNormalFloat}. */
export interface NormalFloatOptions {
  /**
   * Probability at the largest value: how far out the quantiles begin, between 0.5 and 1. Default 0.9677083, of
   * bitsandbytes. To seven digits that is the mean of 1 − 1/30 and 1 − 1/32, the middles of the outermost of 15 and of 16
   * even shares.
   */
  readonly offset?: number;
}

/** Values above zero and below. */
const POSITIVE = 8;
const NEGATIVE = 7;

/**
 * The 16 values of a 4-bit normal float, ascending, from -1 to 1, the eighth 0. By default they are those of NF4.
 *
 * @throws QloraError for an offset that is not between 0.5 and 1.
 * @example
 * const codec = codebookCodec('nf4-wide', deriveNormalFloat({ offset: 0.99 }));
 */
export function deriveNormalFloat(options: NormalFloatOptions = {}): Float32Array {
  const { offset = 0.9677083 } = options;
  const first = Math.fround(offset);
  if (!(first > 0.5 && first < 1)) {
    throw new QloraError({
      what: `offset ${offset} is not between 0.5 and 1`,
      where: 'deriveNormalFloat',
      fix: 'use 0.9677083',
    });
  }
  const positive = quantiles(first, POSITIVE).reverse();
  const negative = quantiles(first, NEGATIVE).map((value) => -value);
  const values = Float32Array.of(...negative, 0, ...positive);
  const largest = values[15]!;
  return values.map((value) => value / largest);
}

/** Quantiles, descending, at `count` even steps from `first` to one step above 0.5, as torch.linspace gives them in f32. */
function quantiles(first: number, count: number): Float32Array {
  const step = Math.fround(Math.fround(0.5 - first) / count);
  return Float32Array.from({ length: count }, (_, i) =>
    // From both ends towards the middle, with products and sums rounded together.
    normalQuantile(Math.fround(i < (count + 1) >> 1 ? first + step * i : 0.5 - step * (count - i))),
  );
}
