// Makes the model on disk, real bytes in several files, and an adapter for it.
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lora, loraConfig } from '@qlora/peft';
import { saveAdapter } from '@qlora/peft/node';
import { INDEX_FILE, planShards, safetensorsSink, shardFileName, shardIndex } from '@qlora/safetensors';
import { byteLength, elementCount, f32ToBf16, type Tensor, type TensorInfo, tensor } from '@qlora/tensor';
import { fileSink, writeFileAtomic } from '@qlora/tensor/node';
import { DEMO_MODEL_FOLDER } from '../folders';
import type { LargeShape } from './shape';
import type { Tile } from './tile';

/** Most bytes of tensors in a file, as Hugging Face splits; a small model is split into some four all the same. */
const SHARD_BYTES = 5e9;
const FEWEST_SHARDS = 4;

/** What belongs to a checkpoint beside its weights. */
const COMPANIONS = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'];

/**
 * Writes the model's folder: weights in shards, index, config and the demo's tokenizer. A vocabulary that is larger than the
 * tokenizer is what llama.cpp's converter fills up too.
 *
 * @param onBytes called with the bytes that are written so far.
 * @returns paths of the weights files.
 */
export async function writeModel(
  folder: string,
  { config, tensors, bytes }: LargeShape,
  tile: Tile,
  onBytes: (bytes: number) => void = () => {},
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const size = ({ dtype, shape }: TensorInfo) => byteLength(dtype, shape);
  const shards = planShards(tensors, size, Math.min(SHARD_BYTES, bytes / FEWEST_SHARDS));
  const names = shards.map((_, index) => shardFileName(index, shards.length));
  let written = 0;
  for (const [index, shard] of shards.entries()) {
    const file = await fileSink(join(folder, names[index] ?? ''));
    const sink = await safetensorsSink(file, shard, { metadata: new Map([['format', 'pt']]) });
    try {
      for (const info of shard) {
        let start = 0;
        for (const piece of valuesOf(info, tile)) {
          await sink.writeRange(info.name, start, piece);
          start += piece.data.length;
          written += piece.data.byteLength;
          onBytes(written);
        }
      }
      await sink.finish();
    } catch (error) {
      await sink.abort();
      throw error;
    }
  }
  const places = new Map(shards.map((shard, i) => [names[i] ?? '', shard.map(({ name }) => name)]));
  await writeFileAtomic(join(folder, INDEX_FILE), shardIndex(places, bytes));
  for (const name of COMPANIONS) await copyFile(join(DEMO_MODEL_FOLDER, name), join(folder, name));
  await writeFileAtomic(join(folder, 'config.json'), `${JSON.stringify(config, null, 1)}\n`);
  return names.map((name) => join(folder, name));
}

/** Norms are ones, as in a model that was not trained; matrices are random. */
function valuesOf({ shape }: TensorInfo, tile: Tile): Iterable<Tensor> {
  const count = elementCount(shape);
  if (shape.length > 1) return tile.pieces(count);
  return [tensor('bf16', [count], new Uint16Array(count).fill(f32ToBf16(1)))];
}

/** Writes a LoRA adapter of rank 16 for all linear layers, both factors random, so that merging changes every weight. */
export async function writeAdapter(folder: string, shape: LargeShape, tile: Tile): Promise<void> {
  const config = loraConfig({ rank: 16, alpha: 32 });
  const dimensions = new Map(shape.tensors.map((info) => [info.name, info.shape]));
  const modules = new Map(
    shape.linearModules.map((name) => {
      const [out = 0, input = 0] = dimensions.get(`${name}.weight`) ?? [];
      const factors = new Map([
        ['lora_A.weight', tile.factor([config.rank, input])],
        ['lora_B.weight', tile.factor([out, config.rank])],
      ]);
      return [name, factors] as const;
    }),
  );
  await saveAdapter(folder, { method: lora, config, modules, label: folder });
}

/** Bytes of a file, or of all files in a folder (not below it). */
export async function bytesAt(path: string): Promise<number> {
  const info = await stat(path);
  if (!info.isDirectory()) return info.size;
  let total = 0;
  for (const name of await readdir(path)) {
    const file = await stat(join(path, name));
    if (file.isFile()) total += file.size;
  }
  return total;
}
