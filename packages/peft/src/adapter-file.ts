// An adapter at rest: its configuration and its tensors by module, and the keys that they have in PEFT's
// `adapter_model.safetensors`: `base_model.model.` + module + `.lora_A.weight` (peft/utils/save_and_load.py; the
// adapter's own name, `default`, is left out of files).
import { QloraError, requireFinite, type Tensor, type TensorSource } from '@qlora/tensor';
import { type BaseQuantization, readBaseQuantization } from './base-quantization';
import type { AdapterMethod } from './contract';
import { type AdapterConfig, methodOf } from './methods';

/** File names that PEFT uses. */
export const ADAPTER_CONFIG_FILE = 'adapter_config.json';
/** See {@link ADAPTER_CONFIG_FILE}. */
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';

const PREFIX = 'base_model.model.';

/** A trained adapter, off any backend. */
export interface StoredAdapter {
  readonly method: AdapterMethod<AdapterConfig>;
  readonly config: AdapterConfig;
  /** Tensors by module name, then by the rest of their key. */
  readonly modules: ReadonlyMap<string, ReadonlyMap<string, Tensor>>;
  /** How the weights that it was trained on were quantized; undefined where the file does not say, as PEFT's do not. */
  readonly baseQuantization?: BaseQuantization | undefined;
  /** Where it came from, for messages. */
  readonly label: string;
}

/**
 * The adapter with all that it changes multiplied by `weight`: half an adapter, or minus one.
 * @throws QloraError unless the weight is a finite number.
 */
export function scaleAdapter(adapter: StoredAdapter, weight: number): StoredAdapter {
  if (!Number.isFinite(weight))
    throw new QloraError({ what: `weight ${weight} is no number`, where: adapter.label });
  return weight === 1 ? adapter : { ...adapter, config: adapter.method.scaled(adapter.config, weight) };
}

/** All tensors of a stored adapter under their keys in the file. */
export function adapterTensors(adapter: Pick<StoredAdapter, 'modules'>): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [module, parts] of adapter.modules) {
    for (const [part, tensor] of parts) tensors.set(`${PREFIX}${module}.${part}`, tensor);
  }
  return tensors;
}

/**
 * Reads an adapter from its parsed configuration and the tensors of its weights file.
 * @throws QloraError for keys that belong to no known part, for NaN, and for what the configuration says wrong.
 */
export async function readAdapter(
  json: unknown,
  source: TensorSource,
  label = source.label,
): Promise<StoredAdapter> {
  const method = methodOf(json, `${label}: ${ADAPTER_CONFIG_FILE}`);
  const config = method.parseConfig(json, `${label}: ${ADAPTER_CONFIG_FILE}`);
  const modules = new Map<string, Map<string, Tensor>>();
  for (const { name } of source.tensors) {
    const match = /^base_model\.model\.(.+)\.(lora_[A-Z]\.weight)$/.exec(name);
    const [, module, part] = match ?? [];
    if (module === undefined || part === undefined) {
      throw new QloraError({
        what: `tensor "${name}" is no LoRA weight`,
        where: source.label,
        fix: `keys look like ${PREFIX}model.layers.0.self_attn.q_proj.lora_A.weight`,
      });
    }
    const parts = modules.get(module) ?? new Map<string, Tensor>();
    const tensor = await source.read(name);
    requireFinite(tensor, [source.label, name]);
    modules.set(module, parts.set(part, tensor));
  }
  if (modules.size === 0) throw new QloraError({ what: 'holds no adapter weights', where: source.label });
  const baseQuantization = readBaseQuantization(source.metadata, source.label);
  return { method, config, modules, baseQuantization, label };
}
