// qlora export gguf: a file that llama.cpp runs.
import { basename, resolve } from 'node:path';
import { taskPool } from '@qlora/convert/node';
import { type GgufExport, type GgufType, exportGguf as writeGguf } from '@qlora/gguf-writer';
import { linearLayers } from '@qlora/models';
import { openCheckpoint } from '@qlora/models/node';
import { checkAdapter, mergedSource } from '@qlora/peft';
import { loadAdapter } from '@qlora/peft/node';
import { byteLength, type TensorSource } from '@qlora/tensor';
import { fileSink } from '@qlora/tensor/node';
import { byteProgress } from '../byte-progress';
import { checkOutFile } from '../output';
import type { Reporter } from '../reporter';

/** Options of {@link exportGguf}. */
export interface ExportGgufOptions {
  readonly adapter?: string | undefined;
  readonly out: string;
  readonly type: GgufType;
  /** Replace a GGUF file that is there. Default false. */
  readonly overwrite?: boolean;
  /** Threads that encode. Default: one a core. */
  readonly threads?: number | undefined;
}

/** Writes a GGUF file of a checkpoint, an adapter merged in if one is named. */
export async function exportGguf(
  folder: string,
  options: ExportGgufOptions,
  reporter: Reporter,
): Promise<GgufExport> {
  await checkOutFile(options.out, { overwrite: options.overwrite ?? false, magic: 'GGUF' });
  const adapter = options.adapter === undefined ? undefined : await loadAdapter(options.adapter);
  const checkpoint = await openCheckpoint(folder);
  try {
    if (adapter) checkAdapter(adapter, linearLayers(checkpoint));
    const source = adapter ? mergedSource(checkpoint.source, adapter, { dtype: 'f32' }) : checkpoint.source;
    const progress = byteProgress('exporting', reporter);
    const pool = taskPool({ threads: options.threads, bytes: sourceBytes(source) });
    const result = await writeGguf(
      {
        source,
        config: checkpoint.config,
        tokenizer: checkpoint.tokenizerFiles,
        type: options.type,
        name: basename(resolve(folder)),
        run: pool.run,
        slots: pool.slots,
        onProgress: progress.update,
      },
      await fileSink(options.out),
    ).finally(() => pool.close());
    progress.stop();
    for (const { name, type, reason } of result.fallbacks) reporter.warn(`${name} is ${type}: ${reason}`);
    for (const warning of result.warnings) reporter.warn(warning);
    reporter.event('exported', { out: options.out, type: options.type, ...result });
    reporter.say(`${result.tensors} tensors written to ${options.out}`);
    reporter.say(`next: llama-completion -m ${options.out} -p "…"`);
    return result;
  } finally {
    await checkpoint.close();
  }
}

function sourceBytes({ tensors }: TensorSource): number {
  return tensors.reduce((sum, { dtype, shape }) => sum + byteLength(dtype, shape), 0);
}
