// The two halves of a QLoRA run in one object, with presets by the names that readers of qlora-rs know.
import { type LoraConfig, loraConfig } from '@qlora/peft';
import { type QuantizationConfig, quantizationConfig } from '@qlora/quant-strategies';

/** How the base is quantized and what is put on top. */
export interface QLoraConfig {
  readonly quantization: QuantizationConfig;
  readonly lora: LoraConfig;
}

/**
 * A complete configuration from parts of one.
 * @throws QloraError naming the field that is wrong.
 */
export function qloraConfig(
  options: { quantization?: Partial<QuantizationConfig>; lora?: Partial<LoraConfig> } = {},
): QLoraConfig {
  return { quantization: quantizationConfig(options.quantization), lora: loraConfig(options.lora) };
}

/** Every linear layer adapted, NF4 with double quantization: the setting of the QLoRA paper. */
export const presetAllLinear = (rank = 16, alpha = 2 * rank): QLoraConfig =>
  qloraConfig({ lora: { rank, alpha } });

/** Only the query and value projections adapted, as in the LoRA paper: the smallest adapter. */
export const presetQvOnly = (rank = 16, alpha = 2 * rank): QLoraConfig =>
  qloraConfig({ lora: { rank, alpha, targetModules: ['q_proj', 'v_proj'] } });
