// The folders and files of one model: in 4 bits, with its adapter, merged, in 4 bits again, and as GGUF.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { exportGguf, exportLoraGguf, merge, quantize, silentReporter, train } from '@qlora/cli';
import { bytesAt } from '../large/model';
import type { Subject } from './subject';
import type { Variant } from './variants';

/** Where the folders of a model lie. */
export interface Paths {
  readonly original: string;
  readonly fourBit: string;
  readonly adapter: string;
  readonly merged: string;
  readonly fourBitAgain: string;
  readonly heldOut: string;
}

/** Splits the text, quantizes the model, trains the adapter, and merges and quantizes again. */
export async function prepare(
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
  const adapters = [{ path: paths.adapter }];
  const whole = { out: paths.merged, adapters, dtype: 'f32', overwrite: false } as const;
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

/** What llama.cpp loads for a variant. */
export interface VariantFiles {
  readonly base: string;
  readonly lora: string | undefined;
  /** Of both. */
  readonly bytes: number;
  /** Matrices of the base that have a larger type than the file's. */
  readonly fallbacks: number;
}

/** Gives the files of variants, and makes each when it is first needed. */
export function variantFiles(paths: Paths, work: string): (variant: Variant) => Promise<VariantFiles> {
  const made = new Map<string, Promise<number>>();
  const once = (path: string, make: () => Promise<number>) => {
    const there = made.get(path) ?? make();
    made.set(path, there);
    return there;
  };
  const folders = {
    'four-bit': paths.fourBit,
    original: paths.original,
    'four-bit again': paths.fourBitAgain,
  };
  return async ({ weights, adapter, type }) => {
    const merged = adapter === 'merged';
    // In the last folder the adapter is merged already.
    const into =
      merged && weights !== 'four-bit again'
        ? { adapters: [{ path: paths.adapter }], base: folders[weights] }
        : {};
    const base = join(work, `${weights.replaceAll(' ', '-')}${merged ? '-merged' : ''}-${type}.gguf`);
    const fallbacks = await once(base, async () => {
      const done = await exportGguf(folders[weights], { out: base, type, ...into }, silentReporter);
      return done.fallbacks.length;
    });
    if (adapter !== 'at run time') return { base, lora: undefined, bytes: await bytesAt(base), fallbacks };
    const lora = join(work, 'adapter.gguf');
    await once(lora, async () => {
      const options = { base: paths.original, out: lora, type: 'f32' } as const;
      await exportLoraGguf(paths.adapter, options, silentReporter);
      return 0;
    });
    return { base, lora, bytes: (await bytesAt(base)) + (await bytesAt(lora)), fallbacks };
  };
}

/** Bytes of a folder's tensors. */
export async function weightBytes(folder: string): Promise<number> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors'));
  const sizes = await Promise.all(names.map((name) => bytesAt(join(folder, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
