// qlora merge: base and adapters as one dense checkpoint.
import { mergeFolder } from '@qlora/convert/node';
import type { WeightedAdapter } from '@qlora/peft/node';
import { convertFolder, type FolderFlags } from '../convert-folder';
import { sayMergedInto } from '../merged-into';
import type { Reporter } from '../reporter';

/** Options of {@link merge}. */
export interface MergeVerbOptions extends FolderFlags {
  readonly adapters: readonly WeightedAdapter[];
  /** Merge into the weights of this folder, as they are, instead of those that the adapters were trained on. */
  readonly base?: string | undefined;
  readonly dtype: 'f32' | 'f16' | 'bf16';
}

/** Merges adapters into the weights that they were trained on, or into those of `base`. */
export async function merge(folder: string, options: MergeVerbOptions, reporter: Reporter): Promise<void> {
  const { adapters, base, out, dtype } = options;
  const inputs = [folder, ...adapters.map(({ path }) => path), ...(base === undefined ? [] : [base])];
  const { complete, quantization, warnings } = await convertFolder(
    'merging',
    inputs,
    options,
    reporter,
    (how) => mergeFolder(folder, adapters, out, { ...how, base, dtype }),
  );
  for (const warning of warnings) reporter.warn(warning);
  sayMergedInto(quantization, reporter);
  reporter.event('merged', { out, complete, quantization });
  if (complete) reporter.say(`merged model written to ${out}`);
}
