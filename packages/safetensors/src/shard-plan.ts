// Which tensors go into which file of a checkpoint that is split, the names of those files, and their index, after the manner
// of huggingface_hub (serialization/_base.py, split_state_dict_into_shards_factory, version 2.4): tensors in their order, a
// new file where the next one would not fit. Unlike there, a tensor above the limit ends the file before it, so that files
// keep the order of the tensors.
import { QloraError } from '@qlora/tensor';

/** What Hugging Face's libraries call the weights of a model. */
export const WEIGHTS_FILE = 'model.safetensors';
/** Names the file of each tensor, where there is more than one. */
export const INDEX_FILE = 'model.safetensors.index.json';

/** Most bytes of tensors in a file unless something else is said. */
export const DEFAULT_MAX_SHARD_SIZE = 5e9;

/**
 * Things in order, split where a part would pass `maxShardSize`. A thing that is larger than that has a part of its own.
 *
 * @param sizeOf bytes that a thing takes in the file.
 * @returns at least one part.
 */
export function planShards<T>(
  things: readonly T[],
  sizeOf: (thing: T) => number,
  maxShardSize: number = DEFAULT_MAX_SHARD_SIZE,
): T[][] {
  if (!(maxShardSize > 0)) {
    throw new QloraError({ what: `a file of at most ${maxShardSize} bytes holds nothing`, fix: 'say 5GB' });
  }
  const shards: T[][] = [[]];
  let size = 0;
  for (const thing of things) {
    const bytes = sizeOf(thing);
    const last = shards.at(-1) ?? [];
    if (last.length > 0 && size + bytes > maxShardSize) {
      shards.push([thing]);
      size = bytes;
    } else {
      last.push(thing);
      size += bytes;
    }
  }
  return shards;
}

/** The name of a file of several, counted from 0: `model-00001-of-00003.safetensors`. One alone is `model.safetensors`. */
export function shardFileName(index: number, count: number): string {
  if (count === 1) return WEIGHTS_FILE;
  const pad = (n: number) => String(n).padStart(5, '0');
  return `model-${pad(index + 1)}-of-${pad(count)}.safetensors`;
}

/**
 * The content of `model.safetensors.index.json`.
 * @param shards names of the tensors by file.
 * @param totalSize bytes of all tensors.
 */
export function shardIndex(shards: ReadonlyMap<string, readonly string[]>, totalSize: number): string {
  const pairs = [...shards].flatMap(([file, names]) => names.map((name) => [name, file] as const));
  const map = Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  return `${JSON.stringify({ metadata: { total_size: totalSize }, weight_map: map }, null, 2)}\n`;
}
