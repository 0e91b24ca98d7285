// Adapter folders on disk, as PEFT writes and reads them: `@qlora/peft/node`.
import { join } from 'node:path';
import { safetensorsSink } from '@qlora/safetensors';
import { openSafetensorsFile } from '@qlora/safetensors/node';
import { memorySource, pump, QloraError, type TensorSource } from '@qlora/tensor';
import { fileSink, folderAtomic, readJsonObject, writeFileAtomic } from '@qlora/tensor/node';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  adapterTensors,
  readAdapter,
  type StoredAdapter,
  scaleAdapter,
} from './adapter-file';
import { adapterMetadata } from './base-quantization';
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
        await safetensorsSink(bytes, source.tensors, { metadata: adapterMetadata(adapter.baseQuantization) }),
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
  return withAdapterFiles(folder, (json, source) => readAdapter(json, source, folder));
}

/** An adapter folder, and how much of it to take. */
export interface WeightedAdapter {
  readonly path: string;
  /** What all that the adapter changes is multiplied by. Default 1. */
  readonly weight?: number | undefined;
}

/** Reads adapter folders, each with its weight multiplied in. @throws QloraError as {@link loadAdapter} does. */
export async function loadAdapters(adapters: readonly WeightedAdapter[]): Promise<StoredAdapter[]> {
  const loaded: StoredAdapter[] = [];
  for (const { path, weight = 1 } of adapters) loaded.push(scaleAdapter(await loadAdapter(path), weight));
  return loaded;
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
  return withAdapterFiles(folder, (json, source) =>
    body({ modules: loraModules(json, source.tensors, folder), source }),
  );
}

/** Opens the two files of an adapter folder for `body`. */
async function withAdapterFiles<T>(
  folder: string,
  body: (json: unknown, source: TensorSource) => Promise<T>,
): Promise<T> {
  const json = await readJsonObject(join(folder, ADAPTER_CONFIG_FILE));
  const source = await openSafetensorsFile(join(folder, ADAPTER_WEIGHTS_FILE));
  try {
    for (const [name, dtype] of source.unreadable) {
      throw new QloraError({ what: `is ${dtype}, which is not read`, where: [source.label, name] });
    }
    return await body(json, source);
  } finally {
    await source.close();
  }
}
