// The registry of families. A new one is a file of its own and a line here.
import { type ConfigJson, ConfigReader } from './config';
import type { GgufFamily } from './contract';
import { gemma2 } from './gemma2';
import { gemma3 } from './gemma3';
import { llama } from './llama';
import { phi3 } from './phi3';
import { qwen2 } from './qwen2';
import { qwen3 } from './qwen3';

/** The families that can be written, by `general.architecture`. */
export const ggufFamilies: ReadonlyMap<string, GgufFamily> = new Map(
  [llama, qwen2, qwen3, gemma2, gemma3, phi3].map((family) => [family.architecture, family]),
);

/**
 * The family of a config.json, by `architectures`, or by `model_type` where it has none.
 * @throws QloraError listing the known ones.
 */
export function ggufFamilyOf(config: ConfigJson): GgufFamily {
  const families = [...ggufFamilies.values()];
  const classes: unknown = config.architectures;
  const [name]: unknown[] = Array.isArray(classes) ? classes : [];
  const found =
    typeof name === 'string'
      ? families.find((family) => family.classes.includes(name))
      : families.find((family) => family.modelTypes.includes(String(config.model_type)));
  if (found) return found;
  const known = families.flatMap((family) => family.classes).join(', ');
  const field = typeof name === 'string' ? 'architectures' : 'model_type';
  const value = typeof name === 'string' ? name : String(config.model_type);
  return new ConfigReader(config).refuse(field, `is "${value}"`, `these can be exported: ${known}`);
}
