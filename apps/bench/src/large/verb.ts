// `npm run bench -- large`: its options.
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { type Command, Option } from 'commander';
import { byteCount, someOf, whole } from '../arguments';
import { terminalProgress } from '../progress';
import { writeLargeResult } from './result';
import { runLarge } from './run';
import { STEPS, type StepName } from './steps';
import { largeText } from './table';

interface LargeFlags {
  readonly size: number;
  readonly dir?: string;
  readonly keep?: boolean;
  readonly steps: StepName[];
  readonly threads: number;
  readonly dropCaches: boolean;
  readonly json?: string;
}

/** Adds the verb. */
export function addLarge(program: Command): void {
  program
    .command('large')
    .description('make a model of many gigabytes, and measure memory and speed of the qlora command on it')
    .addOption(
      new Option('--size <size>', 'bytes of the model, at least: 20GB, 500MB')
        .argParser(byteCount)
        .default(20e9, '20GB'),
    )
    .option(
      '--dir <folder>',
      'new or empty folder to make it in, removed at the end (default: in the folder for temporary files)',
    )
    .option('--keep', 'leave model and adapter in the folder')
    .addOption(
      new Option('--steps <names>', `some of ${STEPS.join(', ')}`)
        .argParser(someOf(STEPS))
        .default([...STEPS], 'all'),
    )
    .addOption(
      new Option('--threads <n>', 'threads of the command')
        .argParser(whole(1))
        .default(availableParallelism(), 'one a core'),
    )
    .option('--no-drop-caches', "leave the system's file cache as it is")
    .option('--json <file>', 'write what was measured')
    .action(large);
}

async function large({ json, dir, keep = false, ...flags }: LargeFlags): Promise<void> {
  // Before the measurement: it is long, and what it gave must not be lost.
  if (json) await mkdir(dirname(json), { recursive: true });
  const result = await runLarge({ ...flags, keep, folder: dir }, terminalProgress());
  console.log(largeText(result));
  if (json) {
    await writeLargeResult(json, result);
    console.log(`written to ${json}`);
  }
  if (result.missing.some(({ failed }) => failed)) process.exitCode = 1;
}
