// What the verbs that write a model folder have in common: progress, shares, going on after an interruption, and what is
// said of each.
import { stat } from 'node:fs/promises';
import {
  type FolderOptions,
  type FolderResult,
  isModelFile,
  type QuantizeFolderOptions,
  type Share,
  workingFolder,
} from '@qlora/convert/node';
import { checkKnownModel } from '@qlora/models';
import { QloraError } from '@qlora/tensor';
import { byteProgress } from './byte-progress';
import { checkOutFolder } from './output';
import { duration, type Reporter } from './reporter';

/** The rule of the error that Ctrl-C makes; the command then ends with 130, as shells expect. */
export const INTERRUPTED = 'interrupted';

/** Flags of a verb that writes a model folder. */
export interface FolderFlags {
  readonly out: string;
  readonly overwrite: boolean;
  readonly maxShardSize?: number;
  readonly resume?: boolean;
  readonly shard?: Share;
  readonly join?: boolean;
  readonly threads?: number;
}

/**
 * Runs `convert` with progress. Ctrl-C stops it after what is in flight, and what is complete stays for `--resume`.
 * @param inputs folders that are read; the result must not replace one of them.
 */
export async function convertFolder<T extends FolderResult>(
  label: string,
  inputs: readonly string[],
  flags: FolderFlags,
  reporter: Reporter,
  convert: (how: FolderOptions & Pick<QuantizeFolderOptions, 'check' | 'maxShardSize'>) => Promise<T>,
): Promise<T> {
  const { out, overwrite, maxShardSize, resume = false, shard, join = false, threads } = flags;
  if (join && shard)
    throw new QloraError({ what: '--join makes no file, so it has no --shard', fix: 'leave one out' });
  await checkOutFolder(out, { overwrite, marker: 'config.json', holds: isModelFile, inputs });
  const stop = new AbortController();
  const onSignal = () =>
    stop.abort(
      new QloraError({
        what: 'interrupted',
        rule: INTERRUPTED,
        where: out,
        fix: 'go on with the same command and --resume',
      }),
    );
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const progress = byteProgress(label, reporter);
  const start = performance.now();
  const wasThere = await exists(workingFolder(out));
  const goesOn = resume || join || shard !== undefined || overwrite;
  try {
    const result = await convert({
      overwrite,
      resume,
      join,
      ...(shard ? { share: shard } : {}),
      ...(maxShardSize ? { maxShardSize } : {}),
      ...(threads ? { threads } : {}),
      check: ({ config, source, path }) => checkKnownModel(config, source, path),
      signal: stop.signal,
      onProgress: progress.update,
    });
    progress.stop();
    if (result.kept.length > 0) reporter.say(`${result.kept.length} files were there already`);
    if (!result.complete) sayShare(result, out, shard, (performance.now() - start) / 1000, reporter);
    return result;
  } catch (error) {
    progress.stop();
    // Not of work that was there and is not gone on with: the error speaks of that.
    if ((goesOn || !wasThere) && (await exists(workingFolder(out))))
      reporter.warn(
        `unfinished work is kept in ${workingFolder(out)}: --resume goes on, --overwrite begins anew`,
      );
    throw error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;

function sayShare(
  { written, missing, files }: FolderResult,
  out: string,
  shard: Share | undefined,
  seconds: number,
  reporter: Reporter,
): void {
  reporter.event('share', { out, shard, written, missing, files });
  reporter.say(
    `share ${shard?.index}/${shard?.count}: ${written.length} of ${files} files written in ${duration(seconds)}`,
  );
  reporter.say(
    missing.length > 0
      ? `${missing.length} files are still to be made by other shares`
      : `all ${files} files are there: run the same command with --join instead of --shard`,
  );
}
