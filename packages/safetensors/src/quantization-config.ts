// The `quantization_config` of a 4-bit checkpoint's config.json, as transformers writes and reads it
// (transformers/utils/quantization_config.py, BitsAndBytesConfig, version 5.23).
import { QloraError } from '@qlora/tensor';

/** What a checkpoint says of its 4-bit weights. */
export interface BitsAndBytesConfig {
  /** Codec: `nf4` or `fp4`. */
  readonly scheme: string;
  readonly doubleQuant: boolean;
  /** Modules that were left as they are. */
  readonly skippedModules: readonly string[];
}

/**
 * The JSON for config.json. `llm_int8_threshold` is left out: transformers insists on a float there, JSON.stringify writes
 * 6.0 as 6, and its default is the same.
 */
export function writeBitsandbytesConfig(config: BitsAndBytesConfig): Record<string, unknown> {
  return {
    _load_in_4bit: true,
    _load_in_8bit: false,
    bnb_4bit_compute_dtype: 'float32',
    bnb_4bit_quant_storage: 'uint8',
    bnb_4bit_quant_type: config.scheme,
    bnb_4bit_use_double_quant: config.doubleQuant,
    llm_int8_enable_fp32_cpu_offload: false,
    llm_int8_has_fp16_weight: false,
    llm_int8_skip_modules: config.skippedModules.length > 0 ? [...config.skippedModules] : null,
    load_in_4bit: true,
    load_in_8bit: false,
    quant_method: 'bitsandbytes',
  };
}

/**
 * Reads `quantization_config`; undefined if there is none.
 * @throws QloraError for another method than bitsandbytes in 4 bits.
 */
export function parseQuantizationConfig(
  json: unknown,
  where = 'config.json',
): BitsAndBytesConfig | undefined {
  if (json === undefined || json === null) return undefined;
  const config = json as Record<string, unknown>;
  const refuse = (field: string, fix: string): never => {
    const what = `quantization_config.${field} is ${JSON.stringify(config[field])}`;
    throw new QloraError({ what, where, fix });
  };
  if (config.quant_method !== 'bitsandbytes')
    return refuse('quant_method', 'only bitsandbytes 4-bit checkpoints and plain ones can be read');
  if (config.load_in_4bit !== true)
    return refuse('load_in_4bit', 'only 4-bit checkpoints of bitsandbytes can be read');
  const scheme = config.bnb_4bit_quant_type ?? 'fp4';
  if (scheme !== 'nf4' && scheme !== 'fp4') return refuse('bnb_4bit_quant_type', 'nf4 and fp4 are known');
  const storage = config.bnb_4bit_quant_storage ?? 'uint8';
  if (storage !== 'uint8') return refuse('bnb_4bit_quant_storage', 'uint8 is needed');
  const skipped = config.llm_int8_skip_modules;
  return {
    scheme,
    doubleQuant: config.bnb_4bit_use_double_quant === true,
    skippedModules: Array.isArray(skipped) ? skipped.filter((name) => typeof name === 'string') : [],
  };
}
