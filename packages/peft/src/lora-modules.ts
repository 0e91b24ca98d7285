// What a LoRA adapter in PEFT's form adds to each module, for those who hand it on without computing with it: more adapters than
// can be trained or merged here. Ranks and alphas may differ by module (`rank_pattern`, `alpha_pattern`), and embeddings may be
// adapted (peft/tuners/lora/layer.py, Embedding). Nothing is read but names and shapes.
import { QloraError, type TensorInfo } from '@qlora/tensor';
import { z } from 'zod';
import { ADAPTER_CONFIG_FILE } from './adapter-file';
import { type LoraConfig, loraScaling, parseLoraConfig } from './lora-config';
import { methodOf } from './methods';

/** scaling · B·A, which the adapter adds to a module's weight. */
export interface LoraModule {
  /** Module path in the model: `model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  /** Key of A [rank, in] in the file, of an embedding [rank, vocabulary]. */
  readonly a: string;
  /** Key of B [out, rank] in the file, of an embedding [hidden, rank]. */
  readonly b: string;
  readonly rank: number;
  readonly scaling: number;
}

const KEY = /^base_model\.model\.(.+)\.(?:lora_([AB])\.weight|lora_embedding_([AB]))$/;

const patterns = z.object({
  rank_pattern: z.record(z.string(), z.number().int().positive()).nullish(),
  alpha_pattern: z.record(z.string(), z.number().positive()).nullish(),
});

/**
 * The modules of an adapter, in the order of its file.
 *
 * @param json parsed adapter_config.json.
 * @param tensors those of adapter_model.safetensors.
 * @throws QloraError for other adapters than LoRA and variants that are not scaling · B·A, naming the field; for keys that are no
 * LoRA's, one of A and B without the other, and ranks that are not those of the configuration.
 */
export function loraModules(json: unknown, tensors: readonly TensorInfo[], label: string): LoraModule[] {
  const where = `${label}: ${ADAPTER_CONFIG_FILE}`;
  methodOf(json, where);
  const config = parseLoraConfig(json, where, { byModule: true });
  const ofModule = moduleConfigs(config, json, where);
  const found = new Map<string, { a?: TensorInfo; b?: TensorInfo }>();
  for (const info of tensors) {
    const [, module, linear, embedding] = KEY.exec(info.name) ?? [];
    if (module === undefined) {
      // PEFT writes the untouched weight of an embedding that is adapted.
      if (info.name.endsWith('.base_layer.weight')) continue;
      throw notLora(info.name, label);
    }
    const pair = found.get(module) ?? {};
    const side = (linear ?? embedding) === 'A' ? 'a' : 'b';
    if (pair[side])
      throw new QloraError({ what: `${module} has two of ${side.toUpperCase()}`, where: label });
    found.set(module, { ...pair, [side]: info });
  }
  if (found.size === 0) throw new QloraError({ what: 'holds no adapter weights', where: label });
  return [...found].map(([name, { a, b }]) => {
    if (!a || !b) {
      throw new QloraError({
        what: `lora_${a ? 'B' : 'A'} is missing`,
        where: [label, name],
        fix: 'the adapter file is incomplete',
      });
    }
    const own = ofModule(name);
    if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== own.rank || b.shape[1] !== own.rank) {
      throw new QloraError({
        what: `A is [${a.shape.join(', ')}] and B [${b.shape.join(', ')}], the configuration says rank ${own.rank}`,
        where: [label, name],
        fix: 'r and rank_pattern must be those that the adapter was trained with',
      });
    }
    return { name, a: a.name, b: b.name, rank: own.rank, scaling: loraScaling(own) };
  });
}

/** The configuration of each module: that of all, with the rank and the alpha of the first pattern that means it. */
function moduleConfigs(config: LoraConfig, json: unknown, where: string): (module: string) => LoraConfig {
  const parsed = patterns.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new QloraError({ what: `${issue?.path.join('.')}: ${issue?.message}`, where });
  }
  const ranks = compile(parsed.data.rank_pattern ?? {}, 'rank_pattern', where);
  const alphas = compile(parsed.data.alpha_pattern ?? {}, 'alpha_pattern', where);
  return (module) => ({
    ...config,
    rank: ranks.find(([key]) => key.test(module))?.[1] ?? config.rank,
    alpha: alphas.find(([key]) => key.test(module))?.[1] ?? config.alpha,
  });
}

/** Keys as PEFT matches them: the end of a name, from a dot on (peft/utils/other.py, get_pattern_key). */
function compile(
  entries: Readonly<Record<string, number>>,
  field: string,
  where: string,
): [RegExp, number][] {
  return Object.entries(entries).map(([key, value]) => {
    try {
      return [new RegExp(`^(?:.*\\.)?(?:${key})$`), value];
    } catch (cause) {
      throw new QloraError({ what: `"${key}" is no regular expression`, where: [where, field], cause });
    }
  });
}

function notLora(name: string, label: string): QloraError {
  return new QloraError({
    what: /lora_/.test(name)
      ? `tensor "${name}" is of a variant that is not scaling · B·A`
      : `tensor "${name}" is no LoRA weight, but a weight of its own`,
    where: label,
    fix: 'merge the adapter with PEFT and convert the merged model',
  });
}
