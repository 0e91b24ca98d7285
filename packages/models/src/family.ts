// The registry of model families, by the `model_type` of config.json. Another family is a file beside `llama-family.ts`
// and a line here.
import { QloraError, type TensorSource } from '@qlora/tensor';
import { checkTensors } from './check-tensors';
import type { ModelFamily } from './contract';
import { llamaFamily } from './llama-family';

const families: readonly ModelFamily[] = [llamaFamily];

/** Names of all known `model_type`s. */
export const modelTypes = (): string[] => families.flatMap((family) => family.modelTypes);

/**
 * The family of a parsed config.json.
 * @throws QloraError for one that is not known, listing those that are.
 */
export function familyOf(json: unknown, where = 'config.json'): ModelFamily {
  const type =
    typeof json === 'object' && json !== null ? (json as { model_type?: unknown }).model_type : undefined;
  const family = families.find((candidate) => candidate.modelTypes.some((known) => known === type));
  if (family) return family;
  throw new QloraError({
    what:
      type === undefined
        ? 'has no model_type'
        : `model_type is ${JSON.stringify(type)}, an architecture that is not supported`,
    where,
    fix: `supported: ${modelTypes().join(', ')}`,
  });
}

/**
 * Throws if a checkpoint is of a family that is known here, and its weights are not those that its config asks for: a shard
 * is missing, or they are of two models. Nothing is said of other families, and of configs that cannot be computed with, since
 * what cannot be computed here can be converted all the same.
 */
export function checkKnownModel(configJson: unknown, source: TensorSource, where?: string): void {
  let shapes: ReadonlyMap<string, readonly number[]>;
  // A classifier has another head, or none.
  const { architectures } = (configJson ?? {}) as { architectures?: unknown };
  if (Array.isArray(architectures) && !architectures.some((name) => /ForCausalLM$/.test(String(name))))
    return;
  try {
    const family = familyOf(configJson, where);
    shapes = family.tensors(family.parseConfig(configJson, where));
  } catch (error) {
    if (error instanceof QloraError) return;
    throw error;
  }
  checkTensors(source, shapes);
}
