// qlora quantize: a checkpoint with its linear layers in 4 bits, for transformers with bitsandbytes.
import { isQuantized, quantizedWeights } from '@qlora/models';
import { openCheckpoint, writeQuantizedCheckpoint } from '@qlora/models/node';
import { QloraError } from '@qlora/tensor';
import { folderBytes } from '../folder-size';
import { checkOutFolder } from '../output';
import { bytes, type Reporter } from '../reporter';

/** Options of {@link quantize}. */
export interface QuantizeOptions {
  readonly out: string;
  readonly scheme: string;
  readonly blockSize: number;
  readonly doubleQuant: boolean;
  readonly overwrite: boolean;
}

/** Result of {@link quantize}. */
export interface QuantizeResult {
  readonly out: string;
  readonly weightBytesBefore: number;
  readonly weightBytesAfter: number;
}

/** Quantizes a model folder into another one. */
export async function quantize(
  model: string,
  options: QuantizeOptions,
  reporter: Reporter,
): Promise<QuantizeResult> {
  await checkOutFolder(options.out, {
    overwrite: options.overwrite,
    marker: 'config.json',
    inputs: [model],
  });
  const checkpoint = await openCheckpoint(model);
  try {
    if (isQuantized(checkpoint)) {
      throw new QloraError({
        what: 'is in 4 bits already',
        where: model,
        fix: 'name a checkpoint in f32, f16 or bf16',
      });
    }
    const { scheme, blockSize, doubleQuant, out, overwrite } = options;
    const weights = quantizedWeights(checkpoint, { scheme, blockSize, doubleQuant });
    let progress: ReturnType<Reporter['progress']> | undefined;
    await writeQuantizedCheckpoint(out, checkpoint, weights, {
      overwrite,
      onTensor(_, index, total) {
        progress ??= reporter.progress('quantizing', total);
        progress.update(index + 1);
      },
    });
    progress?.stop();
  } finally {
    await checkpoint.close();
  }
  const result = {
    out: options.out,
    weightBytesBefore: await folderBytes(model, '.safetensors'),
    weightBytesAfter: await folderBytes(options.out, '.safetensors'),
  };
  reporter.event('quantized', result);
  reporter.say(
    `${model}: ${bytes(result.weightBytesBefore)} → ${options.out}: ${bytes(result.weightBytesAfter)}`,
  );
  return result;
}
