// `npm run bench -- export-quality`: its options.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { GgufType } from '@qlora/gguf-writer';
import { QloraError } from '@qlora/tensor';
import { writeFileAtomic } from '@qlora/tensor/node';
import { type Command, Option } from 'commander';
import { someOf, whole } from '../arguments';
import { terminalProgress } from '../progress';
import { qualityPage } from './page';
import { writeQualityResult } from './result';
import { runQuality } from './run';
import { defaultSubjects, makeWideModel, type Subject, subjectOf, WIDE_MODEL } from './subject';
import { qualityText } from './table';
import { QUALITY_TYPES } from './variants';

interface QualityFlags {
  readonly model?: string[];
  readonly data?: string;
  readonly steps?: number;
  readonly types: GgufType[];
  readonly windows: number;
  readonly json?: string;
  readonly html?: string;
}

/** Adds the verb. */
export function addExportQuality(program: Command): void {
  program
    .command('export-quality')
    .description(
      'fine-tune a model in 4 bits, export it in every way, and measure in llama.cpp what each way loses',
    )
    .option(
      '--model <folder...>',
      "models (default: the demo's, its wide one, which is trained first, some minutes, and kept in .cache, and stories260K if it is there)",
    )
    .option('--data <file>', "text or JSON lines to fine-tune on (default: the demo's stories of pirates)")
    .option('--steps <n>', 'steps of fine-tuning (default: 60; 300 for stories260K)', whole(1))
    .addOption(
      new Option('--types <names>', `some of ${QUALITY_TYPES.join(', ')}; f16 is always among them`)
        .argParser(someOf(QUALITY_TYPES))
        .default([...QUALITY_TYPES], 'all'),
    )
    .option('--windows <n>', 'held-out windows, at most', whole(1), 30)
    .option('--json <file>', 'write what was measured')
    .option('--html <file>', 'write a page with plots')
    .addHelpText('after', EXAMPLES)
    .action(exportQuality);
}

const EXAMPLES = `
Examples:
  $ npm run bench -- export-quality --json quality.json
  $ npm run bench -- export-quality --model my-model --data my-text.txt --types q8_0,q4_k_m`;

async function exportQuality({
  json,
  html,
  model,
  data,
  steps,
  types,
  windows,
}: QualityFlags): Promise<void> {
  if (data !== undefined && model === undefined)
    throw new QloraError({
      what: '--data says what models are fine-tuned on, but none is named',
      fix: 'name a --model too',
    });
  // Before the measurement: it is long, and what it gave must not be lost.
  for (const path of [json, html]) if (path) await mkdir(dirname(path), { recursive: true });
  const progress = terminalProgress();
  const named = model?.map((folder) => subjectOf(folder, data)) ?? defaultSubjects(progress.say);
  const subjects: Subject[] = named.map((subject) => ({ ...subject, ...(steps ? { steps } : {}) }));
  if (subjects.some(({ folder }) => folder === WIDE_MODEL) && !existsSync(WIDE_MODEL)) {
    // Seconds, very roughly.
    progress.start([600]);
    progress.nextCase('training the wide model');
    await makeWideModel((part) => progress.step('training', part)).finally(progress.stop);
  }
  const result = await runQuality(subjects, { windows, types }, progress);
  console.log(qualityText(result));
  if (json) await writeQualityResult(json, result);
  if (html) await writeFileAtomic(html, qualityPage(result));
  for (const path of [json, html]) if (path) console.log(`written to ${path}`);
}
