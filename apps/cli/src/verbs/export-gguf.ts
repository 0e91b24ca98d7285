// qlora export gguf: a file that llama.cpp runs. Nothing here knows how to compute with a model, so architectures that cannot be
// trained here can be exported all the same.
import { basename, resolve } from 'node:path';
import {
  type ModelFolder,
  mergeTarget,
  type OpenModel,
  openBase,
  openModel,
  taskPool,
} from '@qlora/convert/node';
import {
  type GgufExport,
  type GgufModel,
  type GgufPart,
  type GgufType,
  ggufFamilyOf,
  ggufPartName,
  readImatrix,
  exportGguf as writeGguf,
} from '@qlora/gguf-writer';
import { mergedSource, type StoredAdapter } from '@qlora/peft';
import { loadAdapters, type WeightedAdapter } from '@qlora/peft/node';
import { bytesOfTensors, QloraError } from '@qlora/tensor';
import { fileSink, fileSource } from '@qlora/tensor/node';
import { byteProgress } from '../byte-progress';
import { sayMergedInto } from '../merged-into';
import { checkModelfile, refuseSplitModelfile, writeModelfile } from '../ollama';
import { checkOutFile } from '../output';
import type { Reporter } from '../reporter';
import { shellWord } from '../shell-word';

/** The type that is written unless another is asked for: next to f16 in what it computes, at half the size. */
export const DEFAULT_GGUF_TYPE: GgufType = 'q8_0';

/** Options of {@link exportGguf}. */
export interface ExportGgufOptions {
  /** Merged in, in this order. Default: none. */
  readonly adapters?: readonly WeightedAdapter[] | undefined;
  /** Merge into the weights of this folder, as they are, instead of those that the adapters were trained on. */
  readonly base?: string | undefined;
  readonly out: string;
  /** Default: {@link DEFAULT_GGUF_TYPE}. */
  readonly type?: GgufType | undefined;
  /** File of an importance matrix. */
  readonly imatrix?: string | undefined;
  /** `general.name`. Default: the name of the folder or file. */
  readonly name?: string | undefined;
  /** Name of llama.cpp's pre-tokenizer, where the tokenizer's is not recognized. */
  readonly pre?: string | undefined;
  /** Bytes of tensors in a file, at most; a larger model is written in several. */
  readonly splitMaxSize?: number | undefined;
  /** Write a Modelfile beside it, for Ollama. Default false. */
  readonly ollama?: boolean | undefined;
  /** Replace a GGUF file that is there. Default false. */
  readonly overwrite?: boolean;
  /** Threads that encode. Default: one a core. */
  readonly threads?: number | undefined;
}

/**
 * Writes a GGUF file of a model, with adapters merged in if some are named.
 * @param path a checkpoint's folder, plain or in 4 bits, or a QNAT file.
 */
export async function exportGguf(
  path: string,
  options: ExportGgufOptions,
  reporter: Reporter,
): Promise<GgufExport> {
  const { out, type = DEFAULT_GGUF_TYPE, splitMaxSize, ollama = false, overwrite = false } = options;
  if (ollama && splitMaxSize !== undefined) refuseSplitModelfile();
  await checkOutFile(out, { overwrite, magic: 'GGUF' });
  if (ollama) await checkModelfile(out, overwrite);
  const adapters = await loadAdapters(options.adapters ?? []);
  const importance = await readImportance(options.imatrix);
  const model = await openModel(path);
  let base: ModelFolder | undefined;
  try {
    // Before anything else is read, so that an architecture that is not known is what is said.
    ggufFamilyOf(model.config);
    if (options.base !== undefined) base = await openMergeBase(options.base, model, adapters);
    const { source, quantization, warnings } = mergeTarget(model, base, adapters);
    const { files, ...result } = await write(
      {
        source: adapters.length > 0 ? mergedSource(source, adapters, { dtype: 'f32' }) : source,
        config: model.config,
        tokenizer: await model.tokenizer(),
        type,
        name: options.name ?? basename(resolve(path)).replace(/\.qnat$/, ''),
        importance,
        preTokenizer: options.pre,
      },
      options,
      reporter,
    );
    for (const warning of fallbackWarnings(result.fallbacks)) reporter.warn(warning);
    for (const warning of [...warnings, ...result.warnings]) reporter.warn(warning);
    const [first = out] = files;
    reporter.event('exported', { out: first, files: files.length, type, quantization, ...result });
    sayMergedInto(quantization, reporter);
    const more = files.length > 1 ? ` and ${files.length - 1} files that go with it` : '';
    reporter.say(`${result.tensors} tensors written to ${first}${more}, ${type}`);
    reporter.say(`next: llama-completion -m ${shellWord(first)} -p "…"`);
    if (ollama) await writeModelfile(out, { from: out, generation: await model.generation() }, reporter);
    return result;
  } finally {
    await model.close();
    await base?.close();
  }
}

/** Writes a model's file, or files. */
async function write(
  model: Omit<GgufModel, 'run' | 'slots' | 'onProgress'>,
  { out, splitMaxSize, overwrite = false, threads }: ExportGgufOptions,
  reporter: Reporter,
): Promise<GgufExport & { readonly files: readonly string[] }> {
  const files: string[] = [];
  const open = async (part: GgufPart) => {
    const file = ggufPartName(out, part);
    if (file !== out) await checkOutFile(file, { overwrite, magic: 'GGUF' });
    files.push(file);
    return fileSink(file);
  };
  const pool = taskPool({ threads, bytes: bytesOfTensors(model.source.tensors) });
  const progress = byteProgress('exporting', reporter);
  try {
    const target =
      splitMaxSize === undefined ? await open({ index: 0, count: 1 }) : { open, maxSize: splitMaxSize };
    const how = { run: pool.run, slots: pool.slots, onProgress: progress.update };
    return { ...(await writeGguf({ ...model, ...how }, target)), files };
  } finally {
    progress.stop();
    await pool.close();
  }
}

/** A sentence for each type that tensors got instead of their own and each reason why, since a model has hundreds of tensors. */
function fallbackWarnings(fallbacks: GgufExport['fallbacks']): string[] {
  const names = new Map<string, string[]>();
  for (const { name, type, reason } of fallbacks) {
    const why = `${type}: ${reason}`;
    names.set(why, [...(names.get(why) ?? []), name]);
  }
  return [...names].map(([why, [first, ...others]]) =>
    others.length === 0 ? `${first} is ${why}` : `${first} and ${others.length} more tensors are ${why}`,
  );
}

/** Opens the model of --base, which only says something of adapters. */
async function openMergeBase(
  path: string,
  model: OpenModel,
  adapters: readonly StoredAdapter[],
): Promise<ModelFolder> {
  if (adapters.length > 0) return openBase(path, model);
  throw new QloraError({
    what: '--base says what adapters are merged into, and there is none',
    fix: 'name one with --adapter, or export the base itself',
  });
}

async function readImportance(file: string | undefined) {
  if (file === undefined) return undefined;
  const bytes = await fileSource(file);
  const imatrix = await readImatrix(bytes).finally(() => bytes.close());
  return { imatrix, file };
}
