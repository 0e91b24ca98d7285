// qlora export qnat: a model in one file of the native format.
import { encodePartTask } from '@qlora/convert';
import { taskPool } from '@qlora/convert/node';
import { quantizedWeights } from '@qlora/models';
import { openCheckpoint } from '@qlora/models/node';
import { exportNative } from '@qlora/qnat-writer';
import type { QuantizationConfig } from '@qlora/quant-strategies';
import { byteLength, finiteSource, type TensorInfo } from '@qlora/tensor';
import { fileSink } from '@qlora/tensor/node';
import { byteProgress } from '../byte-progress';
import { checkOutFile } from '../output';
import type { Reporter } from '../reporter';

/** Options of {@link exportQnat}. */
export interface ExportQnatOptions {
  readonly out: string;
  /** How to quantize, if the checkpoint is not in 4 bits already. */
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
  const checkpoint = await openCheckpoint(folder);
  try {
    const sizes = new Map(checkpoint.source.tensors.map((info) => [info.name, tensorBytes(info)]));
    const totalBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    const pool = taskPool({ threads: options.threads, bytes: totalBytes });
    const source = finiteSource(
      quantizedWeights(checkpoint, options.quantization, {
        encode: (part, how) => pool.run(encodePartTask, { part, options: how }),
        concurrency: pool.slots,
      }),
    );
    const progress = byteProgress('exporting', reporter);
    let done = 0;
    const { quantization_config: _, ...config } = checkpoint.configJson;
    const { tokenizer, config: tokenizerConfig } = checkpoint.tokenizerFiles;
    const { generationJson } = checkpoint;
    const generation = generationJson ? { generation_config: generationJson } : {};
    await exportNative(source, await fileSink(options.out), {
      metadata: { config, tokenizer, tokenizer_config: tokenizerConfig, ...generation },
      onTensor({ name }, index, totalTensors) {
        done += sizes.get(name) ?? 0;
        progress.update({ bytes: done, totalBytes, tensors: index + 1, totalTensors });
      },
    }).finally(() => pool.close());
    progress.stop();
    reporter.event('exported', { out: options.out, tensors: source.tensors.length });
    reporter.say(`${source.tensors.length} tensors written to ${options.out}`);
  } finally {
    await checkpoint.close();
  }
}

const tensorBytes = ({ dtype, shape }: TensorInfo) => byteLength(dtype, shape);
