// What the weights were that an adapter was trained on. PEFT's files have no place for it, so it stands in the metadata of
// `adapter_model.safetensors`, which PEFT does not look at: a copy of the two files that make an adapter keeps it.
import { type QuantizationConfig, quantizationConfig } from '@qlora/quant-strategies';
import { located, QloraError } from '@qlora/tensor';
import { z } from 'zod';

const KEY = 'base_quantization';

/** How the weights that an adapter was trained on were quantized. */
export interface BaseQuantization extends QuantizationConfig {
  /** Linear layers that were not, by module name in alphabetical order. Default: none. */
  readonly denseModules?: readonly string[] | undefined;
}

const schema = z.strictObject({
  dense_modules: z.array(z.string()).optional(),
  scheme: z.string(),
  strategy: z.string(),
  block_size: z.number(),
  double_quant: z.boolean(),
});

/** The metadata of a weights file: `format: pt`, which PEFT asks for, and how the base was quantized. */
export function adapterMetadata(quantization: BaseQuantization | undefined): Map<string, string> {
  const metadata = new Map([['format', 'pt']]);
  if (!quantization) return metadata;
  const { scheme, strategy, blockSize, doubleQuant, denseModules = [] } = quantization;
  const dense = denseModules.length > 0 ? { dense_modules: denseModules } : {};
  return metadata.set(
    KEY,
    JSON.stringify({ scheme, strategy, block_size: blockSize, double_quant: doubleQuant, ...dense }),
  );
}

/**
 * How the base was quantized, by a weights file's metadata; undefined if that does not say.
 * @throws QloraError if it says what no one here can do.
 */
export function readBaseQuantization(
  metadata: ReadonlyMap<string, string>,
  label: string,
): BaseQuantization | undefined {
  const text = metadata.get(KEY);
  if (text === undefined) return undefined;
  const where = `${label}: metadata ${KEY}`;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new QloraError({ what: 'is no JSON', where, cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new QloraError({ what: `${issue?.path.join('.') || 'the value'}: ${issue?.message}`, where });
  }
  const { scheme, strategy, block_size: blockSize, double_quant: doubleQuant } = parsed.data;
  const { dense_modules: denseModules } = parsed.data;
  try {
    const config = quantizationConfig({ scheme, strategy, blockSize, doubleQuant });
    return denseModules ? { ...config, denseModules } : config;
  } catch (error) {
    throw located(where, error);
  }
}
