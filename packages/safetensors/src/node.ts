// safetensors files and sharded folders on disk: `@qlora/safetensors/node`. Which file of a folder is the
// checkpoint follows transformers 5.23 (modeling_utils.py, `_get_resolved_checkpoint_files`).
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { printable, QloraError } from '@qlora/tensor';
import { fileSource } from '@qlora/tensor/node';
import { openSafetensors, type SafetensorsSource } from './reader';
import { INDEX_FILE, WEIGHTS_FILE } from './shard-plan';
import { checkIndexSize, joinShards, parseIndex } from './sharded';

/** Opens one file. @throws QloraError if it is missing or breaks a rule of the format. */
export async function openSafetensorsFile(path: string): Promise<SafetensorsSource> {
  const bytes = await fileSource(path);
  try {
    return await openSafetensors(bytes);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/**
 * Opens the weights of a model folder: `model.safetensors`, or the files that `model.safetensors.index.json`
 * names, if there is no such file. If both are there, the index is not looked at. A file of another name is
 * not taken for the weights, since it may be an adapter or one of several; open it with {@link
 * openSafetensorsFile}.
 *
 * @throws QloraError if there are none, or they break a rule of the format.
 */
export async function openSafetensorsFolder(folder: string): Promise<SafetensorsSource> {
  const single = join(folder, WEIGHTS_FILE);
  const index = join(folder, INDEX_FILE);
  if (await isFile(single)) return openSafetensorsFile(single);
  if (!(await isFile(index))) return refuseFolder(folder);
  const map = parseIndex(await readIndex(index), index);
  const files = [...new Set(map.values())].sort();
  await checkPresence(folder, files);
  const shards = new Map<string, SafetensorsSource>();
  try {
    for (const file of files) shards.set(file, await openSafetensorsFile(join(folder, file)));
    return joinShards(folder, shards, map);
  } catch (error) {
    for (const shard of shards.values()) await shard.close();
    throw error;
  }
}

async function readIndex(path: string): Promise<Uint8Array> {
  const file = await fileSource(path);
  try {
    checkIndexSize(file.size, path);
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

/** Throws if files of a checkpoint are missing, as after a download that was interrupted. */
async function checkPresence(folder: string, files: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const file of files) if (!(await isFile(join(folder, file)))) missing.push(file);
  if (missing.length === 0) return;
  const some = `${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', …' : ''}`;
  throw new QloraError({
    rule: 'safetensors/index-missing-shard',
    what: `${missing.length} of the ${files.length} files that ${INDEX_FILE} names are missing: ${some}`,
    where: folder,
    fix: 'fetch them again',
  });
}

async function refuseFolder(folder: string): Promise<never> {
  const names = await readdir(folder).catch(() => undefined);
  const others = names?.filter((name) => name.endsWith('.safetensors')).map(printable) ?? [];
  const some = `${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''}`;
  throw new QloraError({
    what: names
      ? `holds no ${WEIGHTS_FILE} and no ${INDEX_FILE}${others.length > 0 ? `, only ${some}` : ''}`
      : 'no such folder',
    where: folder,
    fix: !names
      ? 'check the path'
      : others.length > 0
        ? `if that is the model, call it ${WEIGHTS_FILE}`
        : 'name the folder of a Hugging Face checkpoint in safetensors format',
  });
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}
