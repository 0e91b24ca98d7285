// safetensors files and sharded folders on disk: `@qlora/safetensors/node`.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { QloraError, type TensorSource } from '@qlora/tensor';
import { fileSource, ioError } from '@qlora/tensor/node';
import { openSafetensors } from './reader';
import { joinShards, parseIndex } from './sharded';

/** Opens one file. @throws QloraError if it is missing or breaks a rule of the format. */
export async function openSafetensorsFile(path: string): Promise<TensorSource> {
  const bytes = await fileSource(path);
  try {
    return await openSafetensors(bytes);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/**
 * Opens the weights of a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
 * @throws QloraError if there are none, or they break a rule of the format.
 */
export async function openSafetensorsFolder(folder: string): Promise<TensorSource> {
  const single = join(folder, 'model.safetensors');
  const index = join(folder, 'model.safetensors.index.json');
  if (await exists(single)) return openSafetensorsFile(single);
  if (!(await exists(index))) {
    const known = await exists(folder);
    throw new QloraError({
      what: known ? 'holds no model.safetensors and no model.safetensors.index.json' : 'no such folder',
      where: folder,
      fix: known ? 'name the folder of a Hugging Face checkpoint in safetensors format' : 'check the path',
    });
  }
  const text = await readFile(index, 'utf8').catch((cause) => {
    throw ioError(index, cause);
  });
  const map = parseIndex(parseJson(text, index), index);
  const shards = new Map<string, TensorSource>();
  try {
    for (const file of [...new Set(map.values())].sort())
      shards.set(file, await openSafetensorsFile(join(folder, file)));
    return joinShards(folder, shards, map);
  } catch (error) {
    for (const shard of shards.values()) await shard.close();
    throw error;
  }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QloraError({ what: `is no JSON: ${(cause as Error).message}`, where, cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
