// A checkpoint in several safetensors files: `model.safetensors.index.json` says which tensor is where. What
// becomes of tensors that the index leaves out, or of a name in two files, follows transformers 5.23
// (modeling_utils.py, `_load_pretrained_model`; utils/hub.py, `get_checkpoint_shard_files`): the index tells
// it which files there are, and it takes every tensor in them. Where it would go on with one of two answers,
// this refuses.
import {
  findTensor,
  printable,
  QloraError,
  readRange,
  type TensorInfo,
  type TensorSource,
} from '@qlora/tensor';
import { JsonReader } from './json-reader';
import type { SafetensorsSource } from './reader';

/**
 * Largest index that is read. A tensor takes about 100 bytes in it, and the largest models have some 100 000.
 */
export const MAX_INDEX_BYTES = 100_000_000;

/** Most files that an index may name. The largest models have some 200. */
export const MAX_SHARDS = 10_000;

/** A plain name of a file: nothing that leads to another folder, a drive, or a hidden file. */
const FILE_NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_ .,+=@()-]*\.safetensors$/u;

function refuseIndex(rule: string, what: string, where: string, fix?: string): never {
  throw new QloraError({ rule: `safetensors/index-${rule}`, what, where, ...(fix ? { fix } : {}) });
}

/**
 * The file of each tensor, from the text of an index.
 *
 * @param where the index's path, for messages.
 * @throws QloraError with the rule that the index breaks: its size, its JSON, keys that are there twice,
 * anything but plain file names (an index must not reach outside its folder), too many files.
 */
export function parseIndex(text: string | Uint8Array, where: string): Map<string, string> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  checkIndexSize(bytes.length, where);
  const json = new JsonReader(bytes, (_, what) => refuseIndex('json', what, where));
  const refuseMap = (what: string) =>
    refuseIndex('weight-map', what, where, 'a pair of texts for each tensor is needed');
  const shards = new Map<string, string>();
  // Each name once, because most tensors share theirs with others.
  const files = new Map<string, string>();
  const keys = new Set<string>();
  if (!json.isObject()) return refuseMap('is no object');
  json.object((key) => {
    if (keys.has(key)) refuseIndex('duplicate-key', `has the key ${printable(key)} twice`, where);
    keys.add(key);
    if (key !== 'weight_map') return json.skip();
    if (!json.isObject()) refuseMap(`weight_map is ${printable(json.excerpt())}`);
    json.object((name) => {
      if (shards.has(name)) refuseIndex('duplicate-key', `weight_map has ${printable(name)} twice`, where);
      if (!json.isString()) refuseMap(`weight_map sends ${printable(name)} to ${printable(json.excerpt())}`);
      const file = json.string();
      if (!files.has(file)) files.set(file, checkedFileName(file, name, where));
      if (files.size > MAX_SHARDS)
        refuseIndex('too-many-shards', `names more than ${MAX_SHARDS} files`, where);
      shards.set(name, files.get(file) ?? file);
    });
  });
  json.end();
  if (shards.size === 0)
    return refuseMap(keys.has('weight_map') ? 'weight_map is empty' : 'has no weight_map');
  return shards;
}

/** Throws for an index that is too large to be read. */
export function checkIndexSize(size: number, where: string): void {
  if (size > MAX_INDEX_BYTES)
    refuseIndex('too-large', `is ${size} bytes long, above the limit of ${MAX_INDEX_BYTES}`, where);
}

function checkedFileName(file: string, name: string, where: string): string {
  if (FILE_NAME.test(file) && file.length <= 255) return file;
  const what = `weight_map sends ${printable(name)} to ${printable(JSON.stringify(file))}`;
  return refuseIndex(
    'file-name',
    what,
    where,
    'a plain name of a .safetensors file in the same folder is needed',
  );
}

/**
 * Several sources as one, with every tensor that is in them. A tensor that the index does not name is there
 * too, as it is in transformers.
 *
 * @param shards open sources by file name.
 * @param index the file of each tensor.
 * @throws QloraError if a file lacks a tensor that the index promises in it, or a tensor is in two files.
 */
export function joinShards(
  label: string,
  shards: ReadonlyMap<string, TensorSource & Partial<Pick<SafetensorsSource, 'unreadable'>>>,
  index: ReadonlyMap<string, string>,
): SafetensorsSource {
  const owner = new Map<string, { file: string; shard: TensorSource }>();
  const tensors: TensorInfo[] = [];
  const metadata = new Map<string, string>();
  const unreadable = new Map<string, string>();
  const own = (name: string, file: string, shard: TensorSource) => {
    const other = owner.get(name);
    if (other) {
      const what = `${printable(name)} is in two files, ${other.file} and ${file}`;
      refuseIndex('tensor-twice', what, label, 'remove the file that does not belong to the checkpoint');
    }
    owner.set(name, { file, shard });
  };
  for (const [file, shard] of shards) {
    for (const pair of shard.metadata) metadata.set(...pair);
    for (const info of shard.tensors) {
      own(info.name, file, shard);
      tensors.push(info);
    }
    for (const [name, dtype] of shard.unreadable ?? []) {
      own(name, file, shard);
      unreadable.set(name, dtype);
    }
  }
  for (const [name, file] of index) {
    if (owner.get(name)?.file === file) continue;
    const what = `the index promises ${printable(name)} in ${file}, which has no such tensor`;
    const fix = 'the files and the index are of different checkpoints';
    refuseIndex('missing-tensor', what, label, fix);
  }
  const shardOf = (name: string) => owner.get(name)?.shard ?? (findTensor(source, name) as never);
  const source: SafetensorsSource = {
    label,
    metadata,
    tensors,
    unreadable,
    async read(name) {
      return shardOf(name).read(name);
    },
    async readRange(name, start, count) {
      return readRange(shardOf(name), name, start, count);
    },
    async close() {
      for (const shard of shards.values()) await shard.close();
    },
  };
  return source;
}
