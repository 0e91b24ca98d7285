// The `quantization_config` of a 4-bit checkpoint's config.json, as transformers writes and reads it
// (transformers/utils/quantization_config.py, BitsAndBytesConfig, version 5.23), and in the spellings
// that it still takes from earlier ones (quantizers/auto.py): without `quant_method`, by the switches alone.
import { printable, QloraError } from '@qlora/tensor';

/** What a checkpoint says of its 4-bit weights. */
export interface BitsAndBytesConfig {
  /** Codec: `nf4` or `fp4`. */
  readonly scheme: string;
  readonly doubleQuant: boolean;
  /**
   * Names of modules that were left as they are, and of no others. None, or null, where transformers' default
   * was kept: the output embedding and what is tied to it. A list replaces that default, so the output
   * embedding has to be in it.
   */
  readonly skippedModules: readonly string[] | null;
  /**
   * The type that packed codes are stored as, if another than `uint8`. The tensors say so themselves, so this
   * is information only. We write `uint8`.
   */
  readonly quantStorage?: string;
}

/**
 * The JSON for config.json. `llm_int8_threshold` is left out: transformers insists on a float there,
 * JSON.stringify writes 6.0 as 6, and its default is the same.
 */
export function writeBitsandbytesConfig(config: BitsAndBytesConfig): Record<string, unknown> {
  const { scheme, doubleQuant, skippedModules } = config;
  return {
    _load_in_4bit: true,
    _load_in_8bit: false,
    bnb_4bit_compute_dtype: 'float32',
    bnb_4bit_quant_storage: 'uint8',
    bnb_4bit_quant_type: scheme,
    bnb_4bit_use_double_quant: doubleQuant,
    llm_int8_enable_fp32_cpu_offload: false,
    llm_int8_has_fp16_weight: false,
    llm_int8_skip_modules: skippedModules && skippedModules.length > 0 ? [...skippedModules] : null,
    load_in_4bit: true,
    load_in_8bit: false,
    quant_method: 'bitsandbytes',
  };
}

/** The strings that `bnb_4bit_quant_storage` can be; torch's types have other names beside them. */
const STORAGE = /^(torch\.)?(u?int(8|16|32|64)|b?float16|float32|float64)$/;

/**
 * Reads `quantization_config`; undefined if there is none.
 * @throws QloraError for another method than bitsandbytes in 4 bits.
 */
export function parseQuantizationConfig(
  json: unknown,
  where = 'config.json',
): BitsAndBytesConfig | undefined {
  if (json === undefined || json === null) return undefined;
  if (typeof json !== 'object' || Array.isArray(json))
    throw new QloraError({ what: 'quantization_config is no object', where });
  const config = json as Record<string, unknown>;
  const refuse = (field: string, fix: string): never => {
    const value = JSON.stringify(config[field]) ?? 'missing';
    throw new QloraError({ what: `quantization_config.${field} is ${printable(value)}`, where, fix });
  };
  const in4 = config.load_in_4bit ?? config._load_in_4bit;
  const in8 = config.load_in_8bit ?? config._load_in_8bit;
  // transformers takes a config without a method for one of bitsandbytes, if it has its switches
  // (quantizers/auto.py).
  const method = config.quant_method ?? (in4 === true || in8 === true ? 'bitsandbytes' : undefined);
  if (method !== 'bitsandbytes' && method !== 'bitsandbytes_4bit')
    return refuse('quant_method', 'only bitsandbytes 4-bit checkpoints and plain ones can be read');
  if (in4 !== true || in8 === true)
    return refuse('load_in_4bit', 'only 4-bit checkpoints of bitsandbytes can be read');
  const scheme = config.bnb_4bit_quant_type ?? 'fp4';
  if (scheme !== 'nf4' && scheme !== 'fp4') return refuse('bnb_4bit_quant_type', 'nf4 and fp4 are known');
  const storage = config.bnb_4bit_quant_storage ?? 'uint8';
  if (typeof storage !== 'string' || !STORAGE.test(storage))
    return refuse('bnb_4bit_quant_storage', 'a type of torch is needed');
  const skipped = config.llm_int8_skip_modules;
  const names = Array.isArray(skipped) ? skipped.filter((name) => typeof name === 'string') : [];
  return {
    scheme,
    doubleQuant: config.bnb_4bit_use_double_quant === true,
    skippedModules: names,
    ...(storage === 'uint8' ? {} : { quantStorage: storage }),
  };
}
