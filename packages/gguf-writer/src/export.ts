// From a checkpoint's tensors to a GGUF file in one streaming pass.
import { type BlockType, blockTypeOf, f16, f32 } from '@qlora/ggml-blocks';
import {
  type ByteSink,
  byteLength,
  type ConversionItem,
  elementCount,
  type RunTask,
  readRange,
  requireFinite,
  runItems,
  type Tensor,
  type TensorInfo,
  type TensorSource,
  tensor,
  toFloat32,
} from '@qlora/tensor';
import { encodeTask } from './encode';
import { type FILE_TYPES, type LlamaHyperparameters, llamaMetadata, ropeFactors } from './llama-metadata';
import { checkTensors, ggufName, permutedHeads, permuteRows } from './llama-tensors';
import { sizeLabel } from './size-label';
import { tokenizerMetadata } from './tokenizer/metadata';
import type { TokenizerJson } from './tokenizer/tokenizer-json';
import { type GgufSink, type GgufTensorPlan, ggufSink } from './writer';

/** Types that {@link exportGguf} writes. */
export const GGUF_TYPES = [
  'f32',
  'f16',
  'bf16',
  'q8_0',
] as const satisfies readonly (keyof typeof FILE_TYPES)[];

/** One of {@link GGUF_TYPES}. */
export type GgufType = (typeof GGUF_TYPES)[number];

/** A model to export. */
export interface GgufModel {
  /** Tensors under Hugging Face's names, in any float type. */
  readonly source: TensorSource;
  readonly config: LlamaHyperparameters;
  readonly tokenizer: TokenizerJson;
  /** Type of the matrices; vectors stay f32. */
  readonly type: GgufType;
  /** `general.name`. */
  readonly name: string;
  /** How values are encoded: here, or on other threads. Default: here. */
  readonly run?: RunTask | undefined;
  /** Ranges of values that are in memory at a time. Default 3. */
  readonly slots?: number | undefined;
  /** Called as the work goes on: bytes that were read of the source, and tensors that are complete. */
  readonly onProgress?: (progress: ExportProgress) => void;
}

/** How far an export is. */
export interface ExportProgress {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly tensors: number;
  readonly totalTensors: number;
}

/** What was written. */
export interface GgufExport {
  /** Tensors that could not take the asked type, and what they got. */
  readonly fallbacks: readonly { readonly name: string; readonly type: string; readonly reason: string }[];
  /** Where llama.cpp cannot do all that the tokenizer does: sentences for people. */
  readonly warnings: readonly string[];
  readonly tensors: number;
}

/**
 * Writes a GGUF file that llama.cpp loads: the same tensors, byte for byte, as its converter writes. Some millions of values
 * are in memory at a time, whatever the size of the model.
 *
 * Matrices whose rows no block divides fall back to f16, as llama.cpp's converter does (conversion/base.py,
 * ModelBase.prepare_tensors); norms and biases are always f32.
 *
 * @throws QloraError for tensors that are not those of the config, values that are not finite or too large for the type,
 * and a tokenizer that llama.cpp has no form of. Nothing is left under the final name then.
 */
export async function exportGguf(model: GgufModel, bytes: ByteSink): Promise<GgufExport> {
  const { config, type } = model;
  const target = blockTypeOf(type);
  const fallbacks: { name: string; type: string; reason: string }[] = [];
  try {
    const tokenizer = tokenizerMetadata(model.tokenizer, config);
    const source = llamaSource(model.source, config);
    const parameters = source.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    const metadata = new Map([
      ...llamaMetadata(config, type, model.name, sizeLabel(parameters)),
      ...tokenizer.metadata,
    ]);
    const plans: GgufTensorPlan[] = source.tensors.map(({ name, shape }) => {
      const chosen = chooseType(target, shape);
      if (chosen !== target && shape.length > 1) {
        const reason = `rows of ${shape.at(-1)} are no whole blocks of ${target.blockSize}`;
        fallbacks.push({ name, type: chosen.name, reason });
      }
      return { name, shape, type: chosen };
    });
    const sink = await ggufSink(bytes, { metadata, tensors: plans });
    const items = plans.map((plan) => exportItem(source, plan));
    const totalBytes = items.reduce((sum, item) => sum + item.bytes, 0);
    await runItems(items, {
      sink,
      run: model.run,
      slots: model.slots,
      onProgress: ({ bytes: read, items: tensors }) =>
        model.onProgress?.({ bytes: read, totalBytes, tensors, totalTensors: plans.length }),
    });
    await sink.finish();
    return { fallbacks, warnings: tokenizer.warnings, tensors: plans.length };
  } catch (error) {
    await bytes.abort();
    throw error;
  }
}

function chooseType(target: BlockType, shape: readonly number[]): BlockType {
  if (shape.length <= 1) return f32;
  return (shape.at(-1) ?? 1) % target.blockSize === 0 ? target : f16;
}

/** What an export reads: tensors by llama.cpp's names, in f32, whole rows or heads at a time. */
interface GgufSource {
  readonly tensors: readonly TensorInfo[];
  /** Values that a range must be a multiple of. */
  unitOf(name: string): number;
  readRange(name: string, start: number, count: number): Promise<Float32Array>;
}

/** The source's tensors under llama.cpp's names and in its order of rows. */
function llamaSource(source: TensorSource, config: LlamaHyperparameters): GgufSource {
  const originals = new Map<string, TensorInfo>();
  const tensors: TensorInfo[] = [];
  for (const info of source.tensors) {
    const name = ggufName(info.name, config.tiedEmbeddings, source.label);
    if (name === undefined) continue;
    originals.set(name, info);
    tensors.push({ ...info, name });
  }
  checkTensors(tensors, config, source.label);
  const factors = ropeFactors(config);
  if (factors) tensors.unshift({ name: 'rope_freqs.weight', dtype: 'f32', shape: [factors.length] });
  const permuted = (info: TensorInfo) => permutedHeads(info.name, config) !== undefined;
  return {
    tensors,
    unitOf(name) {
      const info = originals.get(name);
      if (!info) return 1;
      const width = info.shape.length > 1 ? (info.shape.at(-1) ?? 1) : 1;
      return permuted(info) ? config.headDim * width : width;
    },
    async readRange(name, start, count) {
      const info = originals.get(name);
      if (!info) return (factors ?? new Float32Array(0)).slice(start, start + count);
      const where = [source.label, info.name];
      const values = finiteValues(await readRange(source, info.name, start, count), where, start);
      if (!permuted(info)) return values;
      const width = info.shape.length > 1 ? (info.shape.at(-1) ?? 1) : 1;
      const rows = count / width;
      return permuteRows(tensor('f32', [rows, width], values), rows / config.headDim).data;
    },
  };
}

/** A tensor's way into the file. */
function exportItem(source: GgufSource, { name, shape, type }: GgufTensorPlan): ConversionItem<GgufSink> {
  const info = source.tensors.find((candidate) => candidate.name === name);
  const elements = elementCount(shape);
  return {
    name,
    outputs: [{ name, dtype: 'f32', shape }],
    elements,
    bytes: byteLength(info?.dtype ?? 'f32', shape),
    unit: source.unitOf(name),
    async convert(start, count, sink, run) {
      const values = await source.readRange(name, start, count);
      const blocks = await run(encodeTask, { values, type: type.name, where: [name], start });
      await sink.writeBlocks(name, start, blocks);
    },
  };
}

function finiteValues(read: Tensor, where: string[], start: number): Float32Array {
  requireFinite(read, where, start);
  return toFloat32(read);
}
