// A whole run: for each model quantize, fine-tune, export in every way, and compute with all of them on the same held-out
// windows, our own models here, the files in llama.cpp.
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { GgufType } from '@qlora/gguf-writer';
import { openCheckpoint } from '@qlora/models/node';
import { elementCount, QloraError } from '@qlora/tensor';
import { loadExamples } from '@qlora/trainer';
import { hasLlamaCpp, loadGguf } from '@qlora-tooling/llama-cpp';
import { workFolder } from '../large/work-folder';
import { describeMachine, loadNow } from '../machine';
import type { Progress } from '../progress';
import { addWindow, type DistanceSums, type LogitRows, noSums } from './distance';
import { prepare, variantFiles, weightBytes } from './files';
import { ourLogits } from './ours';
import type { GgufRow, Measured, OurRow, QualityResult, SubjectResult } from './result';
import type { Subject } from './subject';
import { VARIANTS, type Variant, variantName } from './variants';

/** What is to be run. */
export interface QualityOptions {
  /** Most windows of the held-out text. */
  readonly windows: number;
  /** Types of the files; f16 is always among them. */
  readonly types: readonly GgufType[];
}

/** Runs and returns what was measured. Nothing is left on the disk. */
export async function runQuality(
  subjects: readonly Subject[],
  options: QualityOptions,
  progress: Progress,
): Promise<QualityResult> {
  if (!(await hasLlamaCpp()))
    throw new QloraError({
      what: 'llama.cpp cannot run here: node-llama-cpp has no binary for this platform',
      fix: 'measure on one that it has a binary for',
    });
  const started = new Date();
  const machine = describeMachine();
  const results: SubjectResult[] = [];
  const variants = VARIANTS.filter(({ type }) => type === 'f16' || options.types.includes(type));
  // Fine-tuning takes as long as some ten files.
  progress.start(subjects.flatMap(() => [10, ...variants.map(() => 1)]));
  const work = await workFolder(undefined, false);
  try {
    for (const [index, subject] of subjects.entries())
      results.push(
        await measureSubject(subject, variants, options, join(work.path, String(index)), progress),
      );
  } finally {
    progress.stop();
    await work.remove();
  }
  return {
    format: 'qlora-bench-export-quality',
    version: 1,
    started: started.toISOString(),
    seconds: Math.round((Date.now() - started.getTime()) / 1000),
    machine: { ...machine, load: { ...machine.load, after: loadNow() } },
    subjects: results,
  };
}

async function measureSubject(
  subject: Subject,
  variants: readonly Variant[],
  { windows: most }: QualityOptions,
  work: string,
  progress: Progress,
): Promise<SubjectResult> {
  const { name, folder, sequenceLength, steps, batchSize, learningRate } = subject;
  progress.nextCase(`${name}: fine-tuning in 4 bits`);
  const paths = await prepare(subject, work, (part) => progress.step('training', 0.8 * part));
  const checkpoint = await openCheckpoint(folder);
  const content = await readFile(paths.heldOut, 'utf8');
  const windows = loadExamples(content, paths.heldOut, checkpoint.tokenizer, sequenceLength).slice(0, most);
  const { hiddenSize: hidden, intermediateSize: intermediate, layers } = checkpoint.config;
  const parameters = checkpoint.source.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  await checkpoint.close();

  progress.step('computing', 0.8);
  const reference = await ourLogits(paths.fourBit, windows, paths.adapter);
  const against = (rows: readonly LogitRows[]): Omit<Measured, 'bytes'> & { tokens: number } => {
    const sums = noSums();
    for (const [i, { target }] of windows.entries())
      addWindow(sums, rows[i] ?? [], target, reference[i] ?? []);
    return means(sums);
  };
  const ours: OurRow[] = [];
  const ourRow = async (weights: OurRow['weights'], adapter: OurRow['adapter']) => {
    const base = weights === 'original' ? folder : paths.fourBit;
    const beside = adapter === 'none' ? undefined : paths.adapter;
    const { tokens: _, ...measured } = against(await ourLogits(base, windows, beside));
    const bytes = (await weightBytes(base)) + (beside === undefined ? 0 : await weightBytes(beside));
    ours.push({ weights, adapter, bytes, ...measured });
  };
  await ourRow('original', 'none');
  await ourRow('four-bit', 'none');
  await ourRow('four-bit', 'at run time');

  const filesOf = variantFiles(paths, work);
  const gguf: GgufRow[] = [];
  for (const variant of variants) {
    progress.nextCase(`${name}: ${variantName(variant)}`);
    const { base, lora, bytes, fallbacks } = await filesOf(variant);
    const model = await loadGguf(base, { contextSize: 512, ...(lora === undefined ? {} : { lora }) });
    const rows: LogitRows[] = [];
    try {
      for (const { input } of windows) {
        rows.push(await model.logits([...input]));
        progress.step('llama.cpp computes', rows.length / windows.length);
      }
    } finally {
      await model.dispose();
    }
    const { tokens: _, ...measured } = against(rows);
    gguf.push({ ...variant, bytes, fallbacks, ...measured });
  }
  return {
    name,
    parameters,
    hidden,
    intermediate,
    layers,
    data: basename(subject.data),
    training: { steps, batchSize, learningRate },
    sequenceLength,
    windows: windows.length,
    tokens: against(reference).tokens,
    ours,
    gguf,
  };
}

const means = ({ tokens, loss, divergence, agreed }: DistanceSums) => ({
  tokens,
  crossEntropy: loss / tokens,
  divergence: divergence / tokens,
  agreement: agreed / tokens,
});
