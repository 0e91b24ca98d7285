// The Modelfile beside a GGUF file, for `ollama create`.
import { stat } from 'node:fs/promises';
import { basename, dirname, relative } from 'node:path';
import { readGguf } from '@qlora/gguf-writer';
import { ollamaFacts, ollamaModelfile } from '@qlora/ollama';
import { QloraError } from '@qlora/tensor';
import { fileSource, writeFileAtomic } from '@qlora/tensor/node';
import { checkOutFile } from './output';
import type { Reporter } from './reporter';
import { shellWord } from './shell-word';

/** Where a file's Modelfile lies: `model.gguf` has `model.Modelfile`. */
export const modelfilePath = (gguf: string): string => `${gguf.replace(/\.gguf$/i, '')}.Modelfile`;

/**
 * Throws unless a Modelfile can be written beside `gguf`, so that it is known before the work.
 * @param from what it will begin from, if not from `gguf`.
 */
export async function checkModelfile(gguf: string, overwrite: boolean, from = gguf): Promise<void> {
  const option = "--out; its Modelfile's name follows from it";
  await checkOutFile(modelfilePath(gguf), { overwrite, magic: 'FROM ', kind: 'Modelfile', option });
  if (from !== gguf) await requireSource(from);
  // For names that a Modelfile cannot hold.
  ollamaModelfile({ ...modelOf(gguf, from), adapters: from === gguf ? [] : [basename(gguf)] });
}

/** Throws for what is there, but nothing that Ollama begins from. */
async function requireSource(from: string): Promise<void> {
  if (isGguf(from)) return requireModel(from);
  if (await stat(from).catch(() => undefined)) {
    throw new QloraError({
      what: 'is neither a GGUF file nor a model of the library',
      where: from,
      fix: 'name the GGUF file of the base, which `export gguf` writes',
    });
  }
}

/** Throws unless a GGUF file holds a model: Ollama begins from one, not from an adapter. */
async function requireModel(from: string): Promise<void> {
  const type = (await metadataOf(from)).get('general.type')?.value ?? 'model';
  if (type === 'model') return;
  throw new QloraError({
    what: `holds no model: its general.type is ${JSON.stringify(type)}`,
    where: from,
    fix: 'name the GGUF file of the base, which `export gguf` writes',
  });
}

const isGguf = (from: string) => /\.gguf$/i.test(from);

/** The model as a Modelfile beside `gguf` names it. */
const modelOf = (gguf: string, from: string) =>
  isGguf(from) || from === gguf ? { file: pathFrom(gguf, from) } : { base: from };

const pathFrom = (gguf: string, file: string) =>
  relative(dirname(modelfilePath(gguf)), file).replaceAll('\\', '/');

/** A model of Ollama, from a GGUF file that is there, or from a model of its library. */
export interface ModelfileParts {
  /** The GGUF file of the model, or the name that the library has for it. */
  readonly from: string;
  /** GGUF file of an adapter to add. */
  readonly adapter?: string | undefined;
  /** generation_config.json. */
  readonly generation?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Writes a Modelfile and says how it is used. Paths in it are from its own folder, so both files can move together.
 * @param gguf the file that was exported, which the Modelfile lies beside.
 */
export async function writeModelfile(
  gguf: string,
  { from, adapter, generation }: ModelfileParts,
  reporter: Reporter,
): Promise<string> {
  const path = modelfilePath(gguf);
  const model = modelOf(gguf, from);
  const { text, warnings } = ollamaModelfile({
    // A model of the library brings its own template and sampling.
    ...(model.file === undefined ? {} : { ...ollamaFacts(await metadataOf(from)), generation }),
    ...model,
    ...(adapter === undefined ? {} : { adapters: [pathFrom(gguf, adapter)] }),
  });
  await writeFileAtomic(path, text);
  for (const warning of warnings) reporter.warn(`${path}: ${warning}`);
  reporter.event('modelfile', { path, text });
  reporter.say(`Modelfile written to ${path}`);
  reporter.say(`next: ollama create ${nameFor(gguf)} -f ${shellWord(path)}`);
  return path;
}

async function metadataOf(file: string) {
  const bytes = await fileSource(file);
  try {
    return (await readGguf(bytes)).metadata;
  } finally {
    await bytes.close();
  }
}

/** A name that Ollama takes (types/model/name.go: letters, digits, `-`, `_` and `.`), from a file's. */
function nameFor(gguf: string): string {
  const name = basename(gguf)
    .replace(/\.gguf$/i, '')
    .replace(/[^\w.-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return name === '' ? 'my-model' : name.toLowerCase();
}

/** Throws for a model in several files, which Ollama does not load. */
export function refuseSplitModelfile(): never {
  throw new QloraError({
    what: 'Ollama does not load models in several files',
    fix: 'leave out --split-max-size, or --ollama',
  });
}
