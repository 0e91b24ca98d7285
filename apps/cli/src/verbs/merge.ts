// qlora merge: base and adapter as one dense checkpoint.
import { mergeFolder } from '@qlora/convert/node';
import { convertFolder, type FolderFlags } from '../convert-folder';
import type { Reporter } from '../reporter';

/** Options of {@link merge}. */
export interface MergeVerbOptions extends FolderFlags {
  readonly adapter: string;
  readonly dtype: 'f32' | 'f16' | 'bf16';
}

/** Merges an adapter into the weights that the folder has (dequantized, if they are in 4 bits). */
export async function merge(folder: string, options: MergeVerbOptions, reporter: Reporter): Promise<void> {
  const { adapter, out, dtype } = options;
  const { complete } = await convertFolder('merging', [folder, adapter], options, reporter, (how) =>
    mergeFolder(folder, adapter, out, { ...how, dtype }),
  );
  reporter.event('merged', { out, complete });
  if (complete) reporter.say(`merged model written to ${out}`);
}
