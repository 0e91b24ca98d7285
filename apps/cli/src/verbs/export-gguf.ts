// qlora export gguf: a file that llama.cpp runs. Nothing here knows how to compute with a model, so architectures that cannot be
// trained here can be exported all the same.
import { basename, resolve } from 'node:path';
import { linearInfos, openModelFolder, readTokenizerFiles, taskPool } from '@qlora/convert/node';
import {
  type GgufExport,
  type GgufPart,
  type GgufType,
  ggufFamilyOf,
  ggufPartName,
  readImatrix,
  exportGguf as writeGguf,
} from '@qlora/gguf-writer';
import { checkAdapter, mergedSource } from '@qlora/peft';
import { loadAdapter } from '@qlora/peft/node';
import { byteLength, type TensorSource } from '@qlora/tensor';
import { fileSink, fileSource } from '@qlora/tensor/node';
import { byteProgress } from '../byte-progress';
import { checkOutFile } from '../output';
import type { Reporter } from '../reporter';

/** Options of {@link exportGguf}. */
export interface ExportGgufOptions {
  readonly adapter?: string | undefined;
  readonly out: string;
  readonly type: GgufType;
  /** File of an importance matrix. */
  readonly imatrix?: string | undefined;
  /** Name of llama.cpp's pre-tokenizer, where the tokenizer's is not recognized. */
  readonly pre?: string | undefined;
  /** Bytes of tensors in a file, at most; a larger model is written in several. */
  readonly splitMaxSize?: number | undefined;
  /** Replace a GGUF file that is there. Default false. */
  readonly overwrite?: boolean;
  /** Threads that encode. Default: one a core. */
  readonly threads?: number | undefined;
}

/** Writes a GGUF file of a checkpoint, an adapter merged in if one is named. */
export async function exportGguf(
  folder: string,
  options: ExportGgufOptions,
  reporter: Reporter,
): Promise<GgufExport> {
  const { out, type, splitMaxSize, overwrite = false } = options;
  await checkOutFile(out, { overwrite, magic: 'GGUF' });
  const adapter = options.adapter === undefined ? undefined : await loadAdapter(options.adapter);
  const importance = await readImportance(options.imatrix);
  const model = await openModelFolder(folder);
  try {
    // Before anything else is read, so that an architecture that is not known is what is said.
    ggufFamilyOf(model.config);
    if (adapter) checkAdapter(adapter, linearInfos(model).values());
    const source = adapter ? mergedSource(model.source, adapter, { dtype: 'f32' }) : model.source;
    const tokenizer = await readTokenizerFiles(folder);
    const progress = byteProgress('exporting', reporter);
    const pool = taskPool({ threads: options.threads, bytes: sourceBytes(source) });
    const files: string[] = [];
    const open = async (part: GgufPart) => {
      const path = ggufPartName(out, part);
      if (path !== out) await checkOutFile(path, { overwrite, magic: 'GGUF' });
      files.push(path);
      return fileSink(path);
    };
    const result = await writeGguf(
      {
        source,
        config: model.config,
        tokenizer,
        type,
        name: basename(resolve(folder)),
        importance,
        preTokenizer: options.pre,
        run: pool.run,
        slots: pool.slots,
        onProgress: progress.update,
      },
      splitMaxSize === undefined ? await fileSink(out) : { open, maxSize: splitMaxSize },
    ).finally(() => pool.close());
    progress.stop();
    for (const { name, type, reason } of result.fallbacks) reporter.warn(`${name} is ${type}: ${reason}`);
    for (const warning of result.warnings) reporter.warn(warning);
    const first = files[0] ?? out;
    reporter.event('exported', { out: first, files: Math.max(1, files.length), type, ...result });
    const more = files.length > 1 ? ` and ${files.length - 1} files that go with it` : '';
    reporter.say(`${result.tensors} tensors written to ${first}${more}`);
    reporter.say(`next: llama-completion -m ${first} -p "…"`);
    return result;
  } finally {
    await model.close();
  }
}

async function readImportance(file: string | undefined) {
  if (file === undefined) return undefined;
  const bytes = await fileSource(file);
  const imatrix = await readImatrix(bytes).finally(() => bytes.close());
  return { imatrix, file };
}

function sourceBytes({ tensors }: TensorSource): number {
  return tensors.reduce((sum, { dtype, shape }) => sum + byteLength(dtype, shape), 0);
}
