// A model folder with an adapter merged into its weights, dense.
import { join } from 'node:path';
import { checkAdapter, type LinearInfo, type StoredAdapter } from '@qlora/peft';
import { loadAdapter } from '@qlora/peft/node';
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

/** Options of {@link mergeFolder}. */
export interface MergeFolderOptions extends FolderOptions {
  /** Type of the float tensors that are written. Default f16. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
  /** Bytes of tensors in a weights file, at most. Default 5 GB. */
  readonly maxShardSize?: number;
  /** Checks of the caller, who may know the architecture. */
  readonly check?: CheckFolder;
}

const torchTypes = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };

/**
 * Merges an adapter into a model folder's weights (dequantized, if they are in 4 bits), added in f32, into another folder, some
 * megabytes at a time.
 *
 * @param adapterFolder folder of the adapter, as PEFT has it. Without one, the weights are only dequantized or cast.
 * @throws QloraError if folder and adapter do not belong together, for values that are not finite or too large for the type,
 * and if the result cannot be written; see {@link writeFolder} for what is left then.
 */
export async function mergeFolder(
  folder: string,
  adapterFolder: string | undefined,
  out: string,
  options: MergeFolderOptions = {},
): Promise<FolderResult> {
  const { dtype = 'f16', maxShardSize = DEFAULT_MAX_SHARD_SIZE } = options;
  const adapter = adapterFolder === undefined ? undefined : await loadAdapter(adapterFolder);
  const model = await openModelFolder(folder);
  try {
    options.check?.(model);
    const layers = linearInfos(model);
    if (adapter) {
      refuseConv1d(adapter, model);
      checkAdapter(adapter, layers.values());
    }
    const isTransposed = (name: string) => isIn4Bits(model, name) && isConv1dWeight(model.config, name);
    const items = mergedItems(model.source, adapter, layers, dtype, isTransposed);
    const type = torchTypes[dtype];
    return await writeFolder(
      {
        out,
        description: {
          verb: 'merge',
          dtype,
          maxShardSize,
          weights: await weightsFingerprint(folder),
          config: hashText(model.configText),
          adapter:
            adapterFolder === undefined || !adapter
              ? null
              : { config: adapter.config, weights: await weightsFingerprint(adapterFolder) },
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
  } finally {
    await model.close();
  }
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

/** The linear layers of a model by module name, for adapters: those in 4 bits, or those that would be. */
export function linearInfos({ config, source }: ModelFolder): Map<string, LinearInfo> {
  const shapes = new Map(source.tensors.map(({ name, shape }) => [name, shape]));
  const names =
    isQuantizedSource(source) && source.quantized.size > 0
      ? [...source.quantized.keys()]
      : linearWeights(config, source.tensors).weights.map(({ name }) => name);
  return new Map(
    names.map((weight) => {
      const name = weight.replace(/\.weight$/, '');
      const [outFeatures = 0, inFeatures = 0] = shapes.get(weight) ?? [];
      return [name, { name, outFeatures, inFeatures }];
    }),
  );
}
