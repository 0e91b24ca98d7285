// qlora export lora-gguf: an adapter as a file that llama.cpp adds to the base's when it runs. Of the base only config.json is
// needed; where its weights lie beside it, the adapter is held to their shapes too.
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { openModelFolder, readModelConfig } from '@qlora/convert/node';
import {
  ggufFamilyOf,
  type LoraGgufExport,
  type LoraGgufType,
  exportLoraGguf as writeLoraGguf,
} from '@qlora/gguf-writer';
import { withLoraFolder } from '@qlora/peft/node';
import type { TensorInfo } from '@qlora/tensor';
import { fileSink, ifThere, ioError, readJsonObject } from '@qlora/tensor/node';
import { checkModelfile, writeModelfile } from '../ollama';
import { checkOutFile } from '../output';
import type { Reporter } from '../reporter';
import { shellWord } from '../shell-word';

/** Options of {@link exportLoraGguf}. */
export interface ExportLoraGgufOptions {
  /** Folder of the model that the adapter was trained on; config.json is enough. */
  readonly base: string;
  readonly out: string;
  readonly type: LoraGgufType;
  /** Write a Modelfile beside it, for Ollama: from this GGUF file, or this model of Ollama's library. */
  readonly ollama?: string | undefined;
  /** Replace a GGUF file that is there. Default false. */
  readonly overwrite?: boolean;
}

/** Writes a GGUF file of a LoRA adapter. */
export async function exportLoraGguf(
  folder: string,
  { base, out, type, ollama, overwrite = false }: ExportLoraGgufOptions,
  reporter: Reporter,
): Promise<LoraGgufExport> {
  await checkOutFile(out, { overwrite, magic: 'GGUF' });
  if (ollama !== undefined) await checkModelfile(out, overwrite, ollama);
  const config = await readModelConfig(base);
  // Before anything else is read, so that an architecture that is not known is what is said.
  ggufFamilyOf(config);
  return withLoraFolder(folder, async ({ modules, source }) => {
    const baseTensors = await weightsOf(base);
    const name = basename(resolve(folder));
    const result = await writeLoraGguf(
      { source, modules, config, type, name, baseTensors },
      await fileSink(out),
    );
    const { alpha, folded, fallbacks, tensors } = result;
    const [first] = folded;
    if (first) {
      reporter.warn(
        `${folded.length} of ${modules.length} modules have a scaling of their own, which is multiplied into their B, since llama.cpp has one alpha for all (${alpha}): ${first.name} by ${first.factor}${folded.length > 1 ? ', …' : ''}`,
      );
    }
    if (fallbacks > 0)
      reporter.warn(`${fallbacks} of ${tensors} matrices are f16: their rows are no whole blocks of ${type}`);
    reporter.event('exported', { out, type, ...result });
    reporter.say(`${tensors} tensors of ${modules.length} modules written to ${out}`);
    reporter.say(`next: llama-completion -m BASE.gguf --lora ${shellWord(out)} -p "…"`);
    if (ollama !== undefined)
      await writeModelfile(
        out,
        { from: ollama, adapter: out, generation: await generationOf(base) },
        reporter,
      );
    return result;
  });
}

/** The tensors of a model folder, if there are any. */
async function weightsOf(folder: string): Promise<readonly TensorInfo[] | undefined> {
  const names = await readdir(folder).catch((cause) => {
    throw ioError(folder, cause);
  });
  if (!names.includes('model.safetensors') && !names.includes('model.safetensors.index.json'))
    return undefined;
  const model = await openModelFolder(folder);
  const { tensors } = model.source;
  await model.close();
  return tensors;
}

/** What the base's folder says of sampling, if it has that file. */
const generationOf = (folder: string) => ifThere(readJsonObject(join(folder, 'generation_config.json')));
