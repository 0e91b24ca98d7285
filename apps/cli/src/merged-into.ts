// What is said of the weights that adapters were merged into, where these are not simply the model's.
import { describeQuantization, type QuantizationConfig } from '@qlora/quant-strategies';
import type { Reporter } from './reporter';

/** Says that weights were quantized and decoded before the merge, if they were. */
export function sayMergedInto(quantization: QuantizationConfig | undefined, reporter: Reporter): void {
  if (!quantization) return;
  reporter.say(
    `merged into the weights in ${describeQuantization(quantization)}, which the adapter was trained on`,
  );
  reporter.say('(--base MODEL merges into the weights as they were before)');
}
