// qlora export qnat: a model in one file of the native format.
import { quantizedWeights } from '@qlora/models';
import { openCheckpoint } from '@qlora/models/node';
import { exportNative } from '@qlora/qnat-writer';
import type { QuantizationConfig } from '@qlora/quant-strategies';
import { finiteSource } from '@qlora/tensor';
import { fileSink } from '@qlora/tensor/node';
import { checkOutFile } from '../output';
import type { Reporter } from '../reporter';

/** Options of {@link exportQnat}. */
export interface ExportQnatOptions {
  readonly out: string;
  /** How to quantize, if the checkpoint is not in 4 bits already. */
  readonly quantization: Partial<QuantizationConfig>;
  /** Replace a QNAT file that is there. Default false. */
  readonly overwrite?: boolean;
}

/** Writes a QNAT file of a checkpoint: linear layers in 4 bits, config and tokenizer in its metadata. */
export async function exportQnat(
  folder: string,
  options: ExportQnatOptions,
  reporter: Reporter,
): Promise<void> {
  await checkOutFile(options.out, { overwrite: options.overwrite ?? false, magic: 'QNAT' });
  const checkpoint = await openCheckpoint(folder);
  try {
    const source = finiteSource(quantizedWeights(checkpoint, options.quantization));
    let progress: ReturnType<Reporter['progress']> | undefined;
    const { quantization_config: _, ...config } = checkpoint.configJson;
    const { tokenizer, config: tokenizerConfig } = checkpoint.tokenizerFiles;
    const { generationJson } = checkpoint;
    const generation = generationJson ? { generation_config: generationJson } : {};
    await exportNative(source, await fileSink(options.out), {
      metadata: { config, tokenizer, tokenizer_config: tokenizerConfig, ...generation },
      onTensor(_, index, total) {
        progress ??= reporter.progress('exporting', total);
        progress.update(index + 1);
      },
    });
    progress?.stop();
    reporter.event('exported', { out: options.out, tensors: source.tensors.length });
    reporter.say(`${source.tensors.length} tensors written to ${options.out}`);
  } finally {
    await checkpoint.close();
  }
}
