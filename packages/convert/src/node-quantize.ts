// A model folder with its linear layers in 4 bits, as transformers with bitsandbytes saves and loads it.
import { join } from 'node:path';
import { DEFAULT_MAX_SHARD_SIZE, planShards, writeBitsandbytesConfig } from '@qlora/safetensors';
import { bytesOfTensors, QloraError } from '@qlora/tensor';
import { writeFileAtomic } from '@qlora/tensor/node';
import { editConfigText } from './config-text';
import { outputBytes, quantizedItems } from './items';
import { type LinearWeights, linearWeights } from './linear-weights';
import {
  type CheckFolder,
  copyCompanions,
  hashText,
  openModelFolder,
  weightsFingerprint,
} from './node-folder';
import { type FolderOptions, type FolderResult, writeFolder } from './node-job';
import type { BlockwiseConfig } from './quantize';

/** Options of {@link quantizeFolder}. */
export interface QuantizeFolderOptions extends FolderOptions, Partial<BlockwiseConfig> {
  /** Modules to leave as they are, beside those that transformers leaves (`lm_head`): `down_proj`, `model.layers.0`. */
  readonly skipModules?: readonly string[];
  /** Bytes of tensors in a weights file, at most. Default 5 GB. */
  readonly maxShardSize?: number;
  /** Checks of the caller, who may know the architecture. */
  readonly check?: CheckFolder;
}

/** What {@link quantizeFolder} did. */
export interface QuantizeFolderResult extends FolderResult {
  /** Which weights are in 4 bits, and which are not. */
  readonly linear: LinearWeights;
  /** Bytes of the tensors that were read, and of those that are written (all files, states at their upper bound). */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Quantizes a model folder of any size and architecture into another folder, on all cores, some megabytes at a time.
 *
 * @throws QloraError if the folder is not as it should be, is in 4 bits already, holds a value that is not finite, or the
 * result cannot be written; see {@link writeFolder} for what is left then.
 * @example
 * await quantizeFolder('SmolLM2-135M', 'SmolLM2-135M-nf4', { scheme: 'nf4' });
 */
export async function quantizeFolder(
  folder: string,
  out: string,
  options: QuantizeFolderOptions = {},
): Promise<QuantizeFolderResult> {
  const {
    scheme = 'nf4',
    blockSize = 64,
    doubleQuant = true,
    maxShardSize = DEFAULT_MAX_SHARD_SIZE,
  } = options;
  const { skipModules = [] } = options;
  const model = await openModelFolder(folder);
  try {
    options.check?.(model);
    if (model.quantized) {
      throw new QloraError({
        what: 'is in 4 bits already',
        where: folder,
        fix: 'name a checkpoint in f32, f16 or bf16',
      });
    }
    const { source, config } = model;
    const linear = linearWeights(config, source.tensors, { skipModules });
    if (linear.unmatched.length > 0) {
      throw new QloraError({
        what: `no module is named ${linear.unmatched.map((name) => `"${name}"`).join(', ')}`,
        where: folder,
        fix: 'say the name of a module, its end, or its beginning up to a point: down_proj, model.layers.0',
      });
    }
    const items = quantizedItems(source, linear, { scheme, blockSize, doubleQuant });
    const shards = planShards(items, outputBytes, maxShardSize);
    const quantization = writeBitsandbytesConfig({
      scheme,
      doubleQuant,
      skippedModules: linear.skippedModules,
    });
    const result = await writeFolder(
      {
        out,
        description: {
          verb: 'quantize',
          scheme,
          blockSize,
          doubleQuant,
          skipModules,
          maxShardSize,
          config: hashText(model.configText),
          weights: await weightsFingerprint(folder),
        },
        shards,
        async companions(to) {
          await copyCompanions(folder, to);
          const text = editConfigText(model.configText, { quantization_config: quantization });
          await writeFileAtomic(join(to, 'config.json'), text);
        },
      },
      options,
    );
    const bytesBefore = bytesOfTensors(source.tensors);
    return {
      ...result,
      linear,
      bytesBefore,
      bytesAfter: items.reduce((sum, item) => sum + outputBytes(item), 0),
    };
  } finally {
    await model.close();
  }
}
