// LoRA's configuration and its form in `adapter_config.json` (peft/tuners/lora/config.py, PEFT 0.18). Fields that
// only matter for training or book-keeping are carried over; fields that would change what the adapter computes and
// that are not supported here are refused by name, never ignored.
import { QloraError } from '@qlora/tensor';
import { z } from 'zod';

/** LoRA (Hu et al. 2021): ΔW = scaling · B·A with A [rank, in] and B [out, rank]. */
export interface LoraConfig {
  /** Inner length of A and B. PEFT's `r`. */
  readonly rank: number;
  /** Scaling numerator: scaling = alpha / rank, or alpha / √rank with `rankStabilized`. */
  readonly alpha: number;
  /** Dropout on the adapter's input while training. */
  readonly dropout: number;
  /** Names (or name endings) of modules, a regular expression over full names, or `all-linear`. */
  readonly targetModules: readonly string[] | string;
  /** Divide by √rank instead of rank (Kalajdzievski 2023). */
  readonly rankStabilized: boolean;
  /** The base model that the adapter belongs to, as it was named when training. */
  readonly baseModel: string | null;
}

/** Defaults of the project: those of the QLoRA paper but for the learning rate, which is the trainer's. */
export const defaultLoraConfig: LoraConfig = {
  rank: 16,
  alpha: 32,
  dropout: 0,
  targetModules: 'all-linear',
  rankStabilized: false,
  baseModel: null,
};

/** What B·A is multiplied by. */
export function loraScaling(config: LoraConfig): number {
  return config.alpha / (config.rankStabilized ? Math.sqrt(config.rank) : config.rank);
}

/**
 * A complete configuration from a part of one.
 * @throws QloraError naming the field that is wrong.
 */
export function loraConfig(options: Partial<LoraConfig> = {}): LoraConfig {
  const config = { ...defaultLoraConfig, ...options };
  const wrong = (field: string, value: unknown, fix: string) =>
    new QloraError({ what: `${field} is ${value}`, where: 'LoRA configuration', fix });
  if (!Number.isInteger(config.rank) || config.rank < 1)
    throw wrong('rank', config.rank, 'a whole number from 1 on');
  if (!(config.alpha > 0)) throw wrong('alpha', config.alpha, 'a number above 0; twice the rank is usual');
  if (!(config.dropout >= 0 && config.dropout < 1))
    throw wrong('dropout', config.dropout, 'a number in [0, 1)');
  if (config.targetModules.length === 0)
    throw wrong('targetModules', 'empty', "'all-linear' or names like q_proj");
  return config;
}

const fileSchema = z.object({
  peft_type: z.literal('LORA'),
  r: z.number().int().positive(),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).lt(1).default(0),
  target_modules: z.union([z.string(), z.array(z.string()).min(1)]),
  use_rslora: z.boolean().default(false),
  base_model_name_or_path: z.string().nullish(),
});

// Fields that change the result when they are not at rest, and the values at which they are.
const unsupported: Record<string, (value: unknown) => boolean> = {
  // Others (pissa, olora, corda, loftq, …) take something out of the base's weights when training starts.
  init_lora_weights: (v) => v === null || typeof v === 'boolean' || UNCHANGED_BASE.has(v),
  kasa_config: isEmpty,
  use_dora: (v) => v === false,
  use_qalora: (v) => v === false,
  use_bdlora: (v) => v === null || v === false,
  bias: (v) => v === 'none',
  lora_bias: (v) => v === false,
  fan_in_fan_out: (v) => v === false,
  modules_to_save: isEmpty,
  rank_pattern: isEmpty,
  alpha_pattern: isEmpty,
  target_parameters: isEmpty,
  exclude_modules: isEmpty,
  layers_to_transform: isEmpty,
  layer_replication: isEmpty,
  trainable_token_indices: isEmpty,
  alora_invocation_tokens: isEmpty,
  arrow_config: isEmpty,
};

/** Initializations that leave the base as it is. */
const UNCHANGED_BASE: ReadonlySet<unknown> = new Set(['gaussian', 'orthogonal', 'eva']);

// Fields that say which modules are adapted and how each is: the file's tensors and patterns tell as much.
const BY_MODULE: ReadonlySet<string> = new Set([
  'rank_pattern',
  'alpha_pattern',
  'exclude_modules',
  'layers_to_transform',
]);

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && (value === null || Object.keys(value).length === 0);
}

/**
 * Reads a parsed `adapter_config.json`.
 * @param options.byModule take one whose modules differ in rank and alpha; the caller looks at the patterns. Default false.
 */
export function parseLoraConfig(
  json: unknown,
  where = 'adapter_config.json',
  { byModule = false }: { readonly byModule?: boolean } = {},
): LoraConfig {
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') || 'the file';
    throw new QloraError({
      what: `${field}: ${issue?.message}`,
      where,
      fix: 'a LoRA adapter_config.json of PEFT is needed',
    });
  }
  for (const [field, atRest] of Object.entries(unsupported)) {
    if (byModule && BY_MODULE.has(field)) continue;
    const value = Object.hasOwn(json as object, field) ? (json as Record<string, unknown>)[field] : undefined;
    if (value !== undefined && !atRest(value)) {
      throw new QloraError({
        what: `${field} is ${JSON.stringify(value)}, which this version does not compute`,
        where,
        fix: 'use an adapter without it, or merge it with PEFT first',
      });
    }
  }
  const { r, lora_alpha, lora_dropout, target_modules, use_rslora, base_model_name_or_path } = parsed.data;
  return loraConfig({
    rank: r,
    alpha: lora_alpha,
    dropout: lora_dropout,
    targetModules: target_modules,
    rankStabilized: use_rslora,
    baseModel: base_model_name_or_path ?? null,
  });
}

/** The configuration with PEFT's names, keys in alphabetical order as PEFT sorts them. */
export function writeLoraConfig(config: LoraConfig): Record<string, unknown> {
  return {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: config.baseModel,
    bias: 'none',
    exclude_modules: null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: config.alpha,
    lora_bias: false,
    lora_dropout: config.dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: config.rank,
    rank_pattern: {},
    revision: null,
    target_modules:
      typeof config.targetModules === 'string' ? config.targetModules : [...config.targetModules],
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: config.rankStabilized,
  };
}
