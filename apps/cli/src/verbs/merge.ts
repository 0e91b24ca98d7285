// qlora merge: base and adapter as one dense checkpoint.
import { linearLayers } from '@qlora/models';
import { openCheckpoint, writeDenseCheckpoint } from '@qlora/models/node';
import { checkAdapter, mergedSource } from '@qlora/peft';
import { loadAdapter } from '@qlora/peft/node';
import { checkOutFolder } from '../output';
import type { Reporter } from '../reporter';

/** Options of {@link merge}. */
export interface MergeVerbOptions {
  readonly adapter: string;
  readonly out: string;
  readonly dtype: 'f32' | 'f16' | 'bf16';
  readonly overwrite: boolean;
}

/** Merges an adapter into the weights that the folder has (dequantized, if they are in 4 bits). */
export async function merge(folder: string, options: MergeVerbOptions, reporter: Reporter): Promise<void> {
  const adapter = await loadAdapter(options.adapter);
  const inputs = [folder, options.adapter];
  await checkOutFolder(options.out, { overwrite: options.overwrite, marker: 'config.json', inputs });
  const checkpoint = await openCheckpoint(folder);
  try {
    checkAdapter(adapter, linearLayers(checkpoint));
    const source = mergedSource(checkpoint.source, adapter, { dtype: options.dtype });
    let progress: ReturnType<Reporter['progress']> | undefined;
    await writeDenseCheckpoint(options.out, checkpoint, source, {
      dtype: options.dtype,
      overwrite: options.overwrite,
      onTensor(_, index, total) {
        progress ??= reporter.progress('merging', total);
        progress.update(index + 1);
      },
    });
    progress?.stop();
  } finally {
    await checkpoint.close();
  }
  reporter.event('merged', { out: options.out });
  reporter.say(`merged model written to ${options.out}`);
}
