// qlora export qnat: a model in one file of the native format. Nothing here knows how to compute with a model, so any
// architecture goes into it.
import { join } from 'node:path';
import { linearWeights, transposedSource } from '@qlora/convert';
import { type ModelFolder, openModelFolder, readTokenizerFiles, taskPool } from '@qlora/convert/node';
import { checkKnownModel } from '@qlora/models';
import { exportNative, qnatModelMetadata } from '@qlora/qnat-writer';
import { type QuantizationConfig, quantizingSource } from '@qlora/quant-strategies';
import { bytesOfTensors, finiteSource, type TensorSource } from '@qlora/tensor';
import { fileSink, ifThere, readJsonObject } from '@qlora/tensor/node';
import { requireQuantization } from '../asked-quantization';
import { byteProgress } from '../byte-progress';
import { checkOutFile } from '../output';
import type { Reporter } from '../reporter';

/** Options of {@link exportQnat}. */
export interface ExportQnatOptions {
  readonly out: string;
  /** How to quantize; a checkpoint that is in 4 bits already must be so as far as this says. */
  readonly quantization: Partial<QuantizationConfig>;
  /** Replace a QNAT file that is there. Default false. */
  readonly overwrite?: boolean;
  /** Threads that quantize. Default: one a core. */
  readonly threads?: number | undefined;
}

/** Writes a QNAT file of a checkpoint: linear layers in 4 bits, config and tokenizer in its metadata. */
export async function exportQnat(
  folder: string,
  options: ExportQnatOptions,
  reporter: Reporter,
): Promise<void> {
  await checkOutFile(options.out, { overwrite: options.overwrite ?? false, magic: 'QNAT' });
  const model = await openModelFolder(folder);
  try {
    checkKnownModel(model.config, model.source, folder);
    requireQuantization(model.source, options.quantization);
    const { tokenizer, config: tokenizerConfig, ...others } = await readTokenizerFiles(folder);
    const generationConfig = await ifThere(readJsonObject(join(folder, 'generation_config.json')));
    const files = { config: model.config, tokenizer, tokenizerConfig, generationConfig, ...others };
    const source = quantizedSource(model, options.quantization);
    const bytes = bytesOfTensors(model.source.tensors);
    const pool = taskPool({ threads: options.threads, bytes });
    const progress = byteProgress('exporting', reporter);
    await exportNative(finiteSource(source), await fileSink(options.out), {
      metadata: qnatModelMetadata(files),
      run: pool.run,
      slots: pool.slots,
      onProgress: progress.update,
    }).finally(() => pool.close());
    progress.stop();
    reporter.event('exported', { out: options.out, tensors: source.tensors.length });
    reporter.say(`${source.tensors.length} tensors written to ${options.out}`);
  } finally {
    await model.close();
  }
}

/** The model's weights as they are, if some are in 4 bits; else with its linear layers quantized. */
function quantizedSource(model: ModelFolder, config: Partial<QuantizationConfig>): TensorSource {
  if (model.quantized) return model.source;
  const { weights } = linearWeights(model.config, model.source.tensors);
  // As a checkpoint in 4 bits has them: [out, in].
  const source = weights
    .filter(({ transposed }) => transposed)
    .reduce((inner, { name }) => transposedSource(inner, name), model.source);
  return quantizingSource(
    source,
    weights.map(({ name }) => name),
    config,
  );
}
