// A model folder with adapters merged into its weights, dense.
import { join } from 'node:path';
import { checkAdapter, type LinearInfo, type StoredAdapter } from '@qlora/peft';
import { loadAdapters, type WeightedAdapter } from '@qlora/peft/node';
import { isQuantizedSource } from '@qlora/quant-strategies';
import { DEFAULT_MAX_SHARD_SIZE, planShards } from '@qlora/safetensors';
import { QloraError } from '@qlora/tensor';
import { writeFileAtomic } from '@qlora/tensor/node';
import { editConfigText } from './config-text';
import { mergedItems, outputBytes } from './items';
import { isConv1dWeight, linearWeights } from './linear-weights';
import {
  type CheckFolder,
  copyCompanions,
  hashText,
  type ModelFolder,
  openModelFolder,
  weightsFingerprint,
} from './node-folder';
import { type FolderOptions, type FolderResult, writeFolder } from './node-job';
import { type TrainedWeights, trainedWeights } from './trained-weights';

/** Options of {@link mergeFolder}. */
export interface MergeFolderOptions extends FolderOptions {
  /** Type of the float tensors that are written. Default f16. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
  /** Bytes of tensors in a weights file, at most. Default 5 GB. */
  readonly maxShardSize?: number;
  /**
   * Merge into the weights of this folder, as they are, instead of those that the adapters were trained on (see
   * {@link trainedWeights}): the model before it was quantized.
   */
  readonly base?: string | undefined;
  /** Checks of the caller, who may know the architecture. */
  readonly check?: CheckFolder;
}

/** What {@link mergeFolder} did. */
export interface MergeFolderResult extends FolderResult, Pick<TrainedWeights, 'quantization' | 'warnings'> {}

const torchTypes = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };

/**
 * Merges adapters into a model folder's weights, added in f32 one after another, into another folder, some megabytes at a
 * time. The weights are those that the adapters were trained on: see {@link trainedWeights}.
 *
 * @param adapters folders as PEFT has them, with weights. None: the model's weights are only dequantized or cast.
 * @throws QloraError if folder and adapter do not belong together, for values that are not finite or too large for the type,
 * and if the result cannot be written; see {@link writeFolder} for what is left then.
 */
export async function mergeFolder(
  folder: string,
  adapters: readonly WeightedAdapter[],
  out: string,
  options: MergeFolderOptions = {},
): Promise<MergeFolderResult> {
  const { dtype = 'f16', maxShardSize = DEFAULT_MAX_SHARD_SIZE } = options;
  const loaded = await loadAdapters(adapters);
  const model = await openModelFolder(folder);
  let base: ModelFolder | undefined;
  try {
    options.check?.(model);
    if (options.base !== undefined) base = await openBase(options.base, model);
    if (base) options.check?.(base);
    const { source, layers, quantization, warnings } = mergeTarget(model, base, loaded);
    const isTransposed = (name: string) =>
      isIn4Bits(base ?? model, name) && isConv1dWeight(model.config, name);
    const items = mergedItems(source, loaded, layers, dtype, isTransposed);
    const type = torchTypes[dtype];
    const result = await writeFolder(
      {
        out,
        description: {
          verb: 'merge',
          dtype,
          maxShardSize,
          weights: await weightsFingerprint(folder),
          base: options.base === undefined ? null : await weightsFingerprint(options.base),
          quantization: quantization ?? null,
          config: hashText(model.configText),
          adapters: await Promise.all(
            loaded.map(async ({ config }, i) => ({
              config,
              weights: await weightsFingerprint(adapters[i]?.path ?? ''),
            })),
          ),
        },
        shards: planShards(items, outputBytes, maxShardSize),
        async companions(to) {
          await copyCompanions(folder, to);
          const changes = { quantization_config: undefined, dtype: type, torch_dtype: type };
          await writeFileAtomic(join(to, 'config.json'), editConfigText(model.configText, changes));
        },
      },
      options,
    );
    return { ...result, quantization, warnings };
  } finally {
    await model.close();
    await base?.close();
  }
}

/**
 * Opens the folder whose weights adapters are merged into instead of the model's own.
 * @throws QloraError unless it has the same tensors, by name and shape.
 */
export async function openBase(path: string, model: ModelFolder): Promise<ModelFolder> {
  const base = await openModelFolder(path);
  const shapes = new Map(base.source.tensors.map(({ name, shape }) => [name, shape.join(', ')]));
  for (const { name, shape } of model.source.tensors) {
    const found = shapes.get(name);
    if (found === shape.join(', ')) continue;
    await base.close();
    throw new QloraError({
      what:
        found === undefined
          ? `has no tensor "${name}", which ${model.path} has`
          : `"${name}" is [${found}], in ${model.path} it is [${shape.join(', ')}]`,
      where: path,
      fix: 'name the model that was quantized as --base',
    });
  }
  return base;
}

/** What adapters are merged into. */
export interface MergeTarget extends TrainedWeights {
  /** The linear layers, by module name. */
  readonly layers: ReadonlyMap<string, LinearInfo>;
}

/**
 * What adapters are merged into: the weights of `base` as they are, if there is one, else those that they were trained on.
 * @throws QloraError as {@link trainedWeights} does, and for adapters that do not fit the layers.
 */
export function mergeTarget(
  model: ModelFolder,
  base: ModelFolder | undefined,
  adapters: readonly StoredAdapter[],
): MergeTarget {
  const weights = base
    ? { source: base.source, quantization: undefined, warnings: [] }
    : trainedWeights(model, adapters);
  const layers = linearInfos(base ?? model);
  for (const adapter of adapters) {
    refuseConv1d(adapter, model);
    checkAdapter(adapter, layers.values());
  }
  return { ...weights, layers };
}

const isIn4Bits = ({ source }: ModelFolder, name: string) =>
  isQuantizedSource(source) && source.quantized.has(name);

/** Throws if the adapter changes a Conv1D, whose weight is the other way round. */
function refuseConv1d(adapter: StoredAdapter, { config, path }: ModelFolder): void {
  for (const name of adapter.modules.keys()) {
    if (!isConv1dWeight(config, `${name}.weight`)) continue;
    throw new QloraError({
      what: `adapts "${name}", a Conv1D, which is not merged here`,
      where: adapter.label,
      fix: `merge it with PEFT; ${path} can be quantized and dequantized`,
    });
  }
}

/** The linear layers of a model by module name, for adapters: those in 4 bits, and those that could be. */
function linearInfos({ config, source }: ModelFolder): Map<string, LinearInfo> {
  const shapes = new Map(source.tensors.map(({ name, shape }) => [name, shape]));
  // Of a model in 4 bits too, some may be dense: those that its quantization skipped.
  const names = new Set([
    ...(isQuantizedSource(source) ? source.quantized.keys() : []),
    ...linearWeights({ ...config, quantization_config: undefined }, source.tensors).weights.map(
      ({ name }) => name,
    ),
  ]);
  return new Map(
    [...names].map((weight) => {
      const name = weight.replace(/\.weight$/, '');
      const [outFeatures = 0, inFeatures = 0] = shapes.get(weight) ?? [];
      return [name, { name, outFeatures, inFeatures }];
    }),
  );
}
