// A whole run: for each model quantize, fine-tune, export in every way, and compute with all of them on the same held-out
// windows, our own models here, the files in llama.cpp.
import { readFile, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { exportGguf, exportLoraGguf, merge, quantize, silentReporter, train } from '@qlora/cli';
import type { GgufType } from '@qlora/gguf-writer';
import { openCheckpoint } from '@qlora/models/node';
import { elementCount, QloraError } from '@qlora/tensor';
import { type Example, loadExamples } from '@qlora/trainer';
import { hasLlamaCpp, loadGguf } from '@qlora-tooling/llama-cpp';
import { bytesAt } from '../large/model';
import { workFolder } from '../large/work-folder';
import { describeMachine, loadNow } from '../machine';
import type { Progress } from '../progress';
import { addWindow, type DistanceSums, type LogitRows, noSums } from './distance';
import { ourLogits } from './ours';
import type { GgufRow, Measured, OurRow, QualityResult, SubjectResult } from './result';
import type { Subject } from './subject';
import { type BaseWeights, VARIANTS, type Variant, variantName } from './variants';

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
      results.push(await measureSubject(subject, variants, options, join(work.path, String(index)), progress));
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
  const { hidden, intermediate, layers } = checkpoint.config;
  const parameters = checkpoint.source.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  await checkpoint.close();

  progress.step('computing', 0.8);
  const reference = await ourLogits(paths.fourBit, windows, paths.adapter);
  const against = (rows: readonly LogitRows[]): Omit<Measured, 'bytes'> & { tokens: number } => {
    const sums = noSums();
    for (const [i, { target }] of windows.entries()) addWindow(sums, rows[i] ?? [], target, reference[i] ?? []);
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

  const files = new GgufFiles(paths, work);
  const gguf: GgufRow[] = [];
  for (const variant of variants) {
    progress.nextCase(`${name}: ${variantName(variant)}`);
    const { base, lora, bytes, fallbacks } = await files.of(variant);
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

/** Where the folders of a model lie. */
interface Paths {
  readonly original: string;
  readonly fourBit: string;
  readonly adapter: string;
  readonly merged: string;
  readonly fourBitAgain: string;
  readonly heldOut: string;
}

/** Splits the text, quantizes the model, trains the adapter, and merges and quantizes again. */
async function prepare(
  { folder, data, sequenceLength, steps, batchSize, learningRate }: Subject,
  work: string,
  onPart: (part: number) => void,
): Promise<Paths> {
  const paths: Paths = {
    original: folder,
    fourBit: join(work, 'four-bit'),
    adapter: join(work, 'adapter'),
    merged: join(work, 'merged'),
    fourBitAgain: join(work, 'four-bit-again'),
    heldOut: join(work, `held-out${extname(data)}`),
  };
  const nf4 = { scheme: 'nf4', blockSize: 64, doubleQuant: true, overwrite: false } as const;
  await quantize(folder, { out: paths.fourBit, ...nf4 }, silentReporter);
  const learnt = join(work, `learnt${extname(data)}`);
  const [first, last] = splitText(await readFile(data, 'utf8'), extname(data));
  await writeFile(learnt, first);
  await writeFile(paths.heldOut, last);
  const reporter = {
    ...silentReporter,
    progress: (_: string, total: number) => ({
      update: (done: number) => onPart(done / total),
      stop: () => {},
    }),
  };
  const lora = { rank: 16, alpha: 32, loraDropout: 0, targetModules: 'all-linear' } as const;
  const schedule = { schedule: 'cosine', warmup: 5, seed: 1 } as const;
  await train(
    paths.fourBit,
    {
      data: learnt,
      out: paths.adapter,
      ...lora,
      sequenceLength,
      quantization: {},
      overwrite: false,
      training: { steps, batchSize, learningRate, ...schedule },
    },
    reporter,
  );
  const whole = { out: paths.merged, adapter: paths.adapter, dtype: 'f32', overwrite: false } as const;
  await merge(paths.fourBit, whole, silentReporter);
  await quantize(paths.merged, { out: paths.fourBitAgain, ...nf4 }, silentReporter);
  return paths;
}

/** What is learnt and what is held out: the last fifth of the lines of a .jsonl file, the last tenth of any other text. */
export function splitText(content: string, extension: string): [learnt: string, heldOut: string] {
  if (extension === '.jsonl') {
    const lines = content.split('\n').filter((line) => line.trim() !== '');
    const cut = Math.floor(0.8 * lines.length);
    return [lines.slice(0, cut).join('\n'), lines.slice(cut).join('\n')];
  }
  const cut = Math.floor(0.9 * content.length);
  return [content.slice(0, cut), content.slice(cut)];
}

/** Makes the files of variants, each once. */
class GgufFiles {
  private readonly made = new Map<string, Promise<{ path: string; fallbacks: number }>>();

  constructor(
    private readonly paths: Paths,
    private readonly work: string,
  ) {}

  async of({ weights, adapter, type }: Variant) {
    const merged = adapter === 'merged';
    const base = await this.model(weights, merged, type);
    const lora = adapter === 'at run time' ? await this.lora() : undefined;
    const bytes = (await bytesAt(base.path)) + (lora === undefined ? 0 : await bytesAt(lora));
    return { base: base.path, lora, bytes, fallbacks: base.fallbacks };
  }

  private model(weights: BaseWeights, merged: boolean, type: GgufType) {
    const { original, fourBit, fourBitAgain, adapter } = this.paths;
    const folders = { 'four-bit': fourBit, original, 'four-bit again': fourBitAgain };
    const path = join(this.work, `${weights.replaceAll(' ', '-')}${merged ? '-merged' : ''}-${type}.gguf`);
    // In the last folder the adapter is merged already.
    const into = merged && weights !== 'four-bit again' ? { adapter } : {};
    return this.once(path, async () => {
      const { fallbacks } = await exportGguf(folders[weights], { out: path, type, ...into }, silentReporter);
      return { path, fallbacks: fallbacks.length };
    });
  }

  private async lora(): Promise<string> {
    const { adapter, original } = this.paths;
    const path = join(this.work, 'adapter.gguf');
    const made = await this.once(path, async () => {
      await exportLoraGguf(adapter, { base: original, out: path, type: 'f32' }, silentReporter);
      return { path, fallbacks: 0 };
    });
    return made.path;
  }

  private once(path: string, make: () => Promise<{ path: string; fallbacks: number }>) {
    const there = this.made.get(path) ?? make();
    this.made.set(path, there);
    return there;
  }
}

/** Bytes of a folder's tensors. */
async function weightBytes(folder: string): Promise<number> {
  const { readdir } = await import('node:fs/promises');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors'));
  const sizes = await Promise.all(names.map((name) => bytesAt(join(folder, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
