// Writing model folders: a checkpoint with other weights, complete or not at all. A value that is not finite is refused,
// whether it was read so or became so in a smaller type.
import { copyFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { QuantizedSource } from '@qlora/quant-strategies';
import { bitsandbytesView, safetensorsSink, writeBitsandbytesConfig } from '@qlora/safetensors';
import { finiteSource, pump, type TensorInfo, type TensorSource } from '@qlora/tensor';
import { fileSink, folderAtomic, writeFileAtomic } from '@qlora/tensor/node';
import type { Checkpoint } from './checkpoint';

/** Options of writing a folder. */
export interface WriteOptions {
  /** Replace a folder that is not empty. Default false. */
  readonly overwrite?: boolean;
  /** Called after each tensor. */
  readonly onTensor?: (info: TensorInfo, index: number, total: number) => void;
}

// What a model folder has beside config and weights, as far as it is there.
const COMPANIONS = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
];

/**
 * Writes the checkpoint with its linear layers in 4 bits, as transformers with bitsandbytes saves and loads it.
 * One tensor is in memory at a time.
 */
export async function writeQuantizedCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  weights: QuantizedSource,
  options: WriteOptions = {},
): Promise<void> {
  const [first] = weights.quantized.values();
  const { source, late } = bitsandbytesView(weights);
  const quantization = writeBitsandbytesConfig({
    scheme: first?.scheme ?? 'nf4',
    doubleQuant: first?.doubleQuant ?? true,
    // transformers leaves the output embedding out by itself; null says so.
    skippedModules: [],
  });
  const config = { ...checkpoint.configJson, quantization_config: quantization };
  await writeFolder(folder, checkpoint, config, source, late, options);
}

/** Writes the checkpoint with other, dense weights (a merge, another dtype). */
export async function writeDenseCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  weights: TensorSource,
  options: WriteOptions & { readonly dtype: 'f32' | 'f16' | 'bf16' },
): Promise<void> {
  const { quantization_config: _, torch_dtype: __, ...config } = checkpoint.configJson;
  const dtype = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' }[options.dtype];
  await writeFolder(
    folder,
    checkpoint,
    { ...config, dtype, torch_dtype: dtype },
    weights,
    new Set(),
    options,
  );
}

async function writeFolder(
  folder: string,
  checkpoint: Checkpoint,
  config: Record<string, unknown>,
  source: TensorSource,
  late: ReadonlySet<string>,
  options: WriteOptions,
): Promise<void> {
  await folderAtomic(
    folder,
    async (temporary) => {
      await writeFileAtomic(join(temporary, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
      for (const name of COMPANIONS) {
        const from = join(checkpoint.label, name);
        if (await stat(from).catch(() => undefined)) await copyFile(from, join(temporary, name));
      }
      const metadata = new Map([['format', 'pt']]);
      const bytes = await fileSink(join(temporary, 'model.safetensors'));
      const sink = await safetensorsSink(bytes, source.tensors, { metadata, late });
      await pump(finiteSource(source), sink, (info, index) =>
        options.onTensor?.(info, index, source.tensors.length),
      );
    },
    { overwrite: options.overwrite ?? false },
  );
}
