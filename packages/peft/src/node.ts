// Adapter folders on disk, as PEFT writes and reads them: `@qlora/peft/node`.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { safetensorsSink } from '@qlora/safetensors';
import { openSafetensorsFile } from '@qlora/safetensors/node';
import { memorySource, pump, QloraError, type TensorSource } from '@qlora/tensor';
import { fileSink, folderAtomic, ioError, writeFileAtomic } from '@qlora/tensor/node';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  adapterTensors,
  readAdapter,
  type StoredAdapter,
} from './adapter-file';
import { type LoraModule, loraModules } from './lora-modules';

/** Options of {@link saveAdapter}. */
export interface SaveAdapterOptions {
  /** Replace a folder that is not empty. Default false. */
  readonly overwrite?: boolean;
  /** Adds further files to the folder before it appears under its name (a log, a report). */
  readonly extra?: (folder: string) => Promise<void>;
}

/**
 * Writes an adapter folder that PEFT loads (`adapter_config.json`, `adapter_model.safetensors`), complete or not at all.
 * @throws QloraError if `folder` exists and is not empty, unless `overwrite` is set.
 */
export async function saveAdapter(
  folder: string,
  adapter: StoredAdapter,
  options: SaveAdapterOptions = {},
): Promise<void> {
  await folderAtomic(
    folder,
    async (temporary) => {
      const config = `${JSON.stringify(adapter.method.writeConfig(adapter.config), null, 2)}\n`;
      await writeFileAtomic(join(temporary, ADAPTER_CONFIG_FILE), config);
      const source = memorySource(adapterTensors(adapter));
      const bytes = await fileSink(join(temporary, ADAPTER_WEIGHTS_FILE));
      await pump(
        source,
        await safetensorsSink(bytes, source.tensors, { metadata: new Map([['format', 'pt']]) }),
      );
      await options.extra?.(temporary);
    },
    { overwrite: options.overwrite ?? false },
  );
}

/**
 * Reads an adapter folder.
 * @throws QloraError naming file, tensor or field.
 */
export async function loadAdapter(folder: string): Promise<StoredAdapter> {
  const json = await readConfig(folder);
  const source = await openSafetensorsFile(join(folder, ADAPTER_WEIGHTS_FILE));
  try {
    return await readAdapter(json, source, folder);
  } finally {
    await source.close();
  }
}

/** An open adapter folder: what it adds to which modules, and the tensors, read one at a time. */
export interface LoraFolder {
  readonly modules: readonly LoraModule[];
  readonly source: TensorSource;
}

/**
 * Opens a LoRA adapter folder to hand its tensors on, for `body`. More adapters can be opened than {@link loadAdapter} can load:
 * see {@link loraModules}.
 * @throws QloraError naming file, tensor or field.
 */
export async function withLoraFolder<T>(
  folder: string,
  body: (adapter: LoraFolder) => Promise<T>,
): Promise<T> {
  const json = await readConfig(folder);
  const source = await openSafetensorsFile(join(folder, ADAPTER_WEIGHTS_FILE));
  try {
    for (const [name, dtype] of source.unreadable) {
      throw new QloraError({ what: `is ${dtype}, which is not read`, where: [source.label, name] });
    }
    return await body({ modules: loraModules(json, source.tensors, folder), source });
  } finally {
    await source.close();
  }
}

async function readConfig(folder: string): Promise<unknown> {
  const path = join(folder, ADAPTER_CONFIG_FILE);
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw ioError(path, cause);
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QloraError({ what: `is no JSON: ${(cause as Error).message}`, where: path, cause });
  }
}
