// A checkpoint in several safetensors files: `model.safetensors.index.json` says which tensor is where.
import { findTensor, QloraError, type TensorInfo, type TensorSource } from '@qlora/tensor';

/**
 * The shard of each tensor, from a parsed index.
 * @throws QloraError for anything but plain file names: an index must not reach outside its folder.
 */
export function parseIndex(json: unknown, where: string): Map<string, string> {
  const map =
    typeof json === 'object' && json !== null ? (json as { weight_map?: unknown }).weight_map : undefined;
  if (typeof map !== 'object' || map === null) throw new QloraError({ what: 'has no weight_map', where });
  const shards = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !/^[\w.-]+\.safetensors$/.test(file) || file.startsWith('.')) {
      throw new QloraError({
        rule: 'safetensors/index-file-name',
        what: `weight_map sends "${name}" to ${JSON.stringify(file)}`,
        where,
        fix: 'a plain name of a .safetensors file in the same folder is needed',
      });
    }
    shards.set(name, file);
  }
  return shards;
}

/**
 * Several sources as one.
 *
 * @param shards open sources by file name.
 * @param index the shard of each tensor.
 * @throws QloraError if a shard lacks a tensor that the index promises.
 */
export function joinShards(
  label: string,
  shards: ReadonlyMap<string, TensorSource>,
  index: ReadonlyMap<string, string>,
): TensorSource {
  const owner = new Map<string, TensorSource>();
  const tensors: TensorInfo[] = [];
  const metadata = new Map<string, string>();
  for (const [file, shard] of shards) {
    for (const pair of shard.metadata) metadata.set(...pair);
    for (const info of shard.tensors) {
      if (index.get(info.name) !== file) continue;
      owner.set(info.name, shard);
      tensors.push(info);
    }
  }
  for (const [name, file] of index) {
    if (!owner.has(name)) {
      throw new QloraError({
        what: `promises "${name}" in ${file}, which has no such tensor`,
        where: label,
        fix: 'the shards and the index are of different checkpoints, or a shard is missing',
      });
    }
  }
  const source: TensorSource = {
    label,
    metadata,
    tensors,
    async read(name) {
      return (owner.get(name) ?? (findTensor(source, name) as never)).read(name);
    },
    async close() {
      for (const shard of shards.values()) await shard.close();
    },
  };
  return source;
}
