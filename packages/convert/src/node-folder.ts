// Any Hugging Face model folder: its config, its weights, and what else lies there. Nothing here knows an architecture, so
// models that cannot be computed with can be converted all the same.
import { createHash } from 'node:crypto';
import { chmod, copyFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isQuantizedSource } from '@qlora/quant-strategies';
import { bitsandbytesSource, parseQuantizationConfig } from '@qlora/safetensors';
import { openSafetensorsFolder } from '@qlora/safetensors/node';
import { type ByteSource, QloraError, type TensorSource } from '@qlora/tensor';
import { fileSource, ioError, readSmallFile } from '@qlora/tensor/node';
import { parseConfigText } from './config-text';

/** An open model folder. */
export interface ModelFolder {
  readonly path: string;
  /** The text of config.json. */
  readonly configText: string;
  /** config.json as it is. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Its weights: dense, or a `QuantizedSource` where config.json says that they are in 4 bits. */
  readonly source: TensorSource;
  /** Whether there are weights in 4 bits. */
  readonly quantized: boolean;
  close(): Promise<void>;
}

/** Looks at a folder before anything is written, and throws to refuse it. */
export type CheckFolder = (model: ModelFolder) => void;

const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/**
 * Opens a model folder.
 * @throws QloraError if config.json or the weights are missing or broken, or hold types that cannot be converted.
 */
export async function openModelFolder(path: string): Promise<ModelFolder> {
  const configText = await readConfig(path);
  const config = parseConfigText(configText, join(path, 'config.json'));
  const quantization = parseQuantizationConfig(config.quantization_config, join(path, 'config.json'));
  const plain = await openSafetensorsFolder(path);
  try {
    for (const [name, dtype] of plain.unreadable) {
      throw new QloraError({
        what: `is ${dtype}, which cannot be converted`,
        where: [path, name],
        fix: 'name a checkpoint in F32, F16 or BF16',
      });
    }
    const source = quantization ? await bitsandbytesSource(plain) : plain;
    const quantized = isQuantizedSource(source) && source.quantized.size > 0;
    return { path, configText, config, source, quantized, close: () => plain.close() };
  } catch (error) {
    await plain.close();
    throw error;
  }
}

/**
 * config.json of a model folder, with or without weights beside it.
 * @throws QloraError if it is missing or broken.
 */
export async function readModelConfig(path: string): Promise<Readonly<Record<string, unknown>>> {
  return parseConfigText(await readConfig(path), join(path, 'config.json'));
}

async function readConfig(path: string): Promise<string> {
  const folder = await stat(path).catch((cause) => {
    throw ioError(path, cause);
  });
  if (!folder.isDirectory()) {
    throw new QloraError({
      what: 'is no folder',
      where: path,
      fix: 'name the folder of a Hugging Face checkpoint',
    });
  }
  return new TextDecoder().decode(await readSmallFile(join(path, 'config.json'), MAX_CONFIG_BYTES));
}

// What belongs to a model beside its weights: configs, tokenizers, chat templates, code, licences.
const COMPANION = /\.(json|txt|model|jinja|py|tiktoken|md)$|^(LICEN[CS]E|NOTICE)/i;
const REPLACED = new Set(['config.json', 'model.safetensors.index.json', 'pytorch_model.bin.index.json']);
const MAX_COMPANION_BYTES = 512 * 1024 * 1024;

/** Whether a model folder that is written here can hold a file of that name: weights, or what lies beside them. */
export const isModelFile = (name: string): boolean => name.endsWith('.safetensors') || COMPANION.test(name);

/** What is in a folder. */
const entriesOf = (folder: string) =>
  readdir(folder, { withFileTypes: true }).catch((cause) => {
    throw ioError(folder, cause);
  });

/** Copies what lies beside the weights (tokenizer, chat template, generation_config.json …), config.json left out. */
export async function copyCompanions(from: string, to: string): Promise<void> {
  for (const entry of await entriesOf(from)) {
    const { name } = entry;
    if (entry.isDirectory() || REPLACED.has(name) || !COMPANION.test(name)) continue;
    const path = join(from, name);
    const info = await stat(path).catch(() => undefined);
    if (!info?.isFile() || info.size > MAX_COMPANION_BYTES) continue;
    await copyFile(path, join(to, name)).catch((cause) => {
      throw ioError(path, cause);
    });
    // Not the mode: a copy of what may only be read could not be replaced by a later run.
    await chmod(join(to, name), 0o644);
  }
}

/** What tells one text from another. */
export const hashText = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 32);

const SAMPLES = 16;
const SAMPLE_BYTES = 4096;

/**
 * What tells one state of a folder's weights from another without reading them whole: size, beginning, and samples of each
 * file. The same on every machine that has a copy.
 */
export async function weightsFingerprint(folder: string): Promise<Record<string, string>> {
  const names = (await entriesOf(folder))
    .filter((entry) => !entry.isDirectory() && entry.name.endsWith('.safetensors'))
    .map(({ name }) => name)
    .sort();
  const prints: Record<string, string> = {};
  for (const name of names) {
    const file = await fileSource(join(folder, name));
    prints[name] = await fingerprint(file).finally(() => file.close());
  }
  return prints;
}

async function fingerprint(file: ByteSource): Promise<string> {
  const hash = createHash('sha256').update(String(file.size));
  const sample = async (at: number) =>
    hash.update(await file.read(at, Math.min(SAMPLE_BYTES, file.size - at)));
  for (let i = 0; i < SAMPLES; i++) await sample(Math.floor((file.size / SAMPLES) * i));
  await sample(Math.max(0, file.size - SAMPLE_BYTES));
  return hash.digest('hex').slice(0, 32);
}
