// From a checkpoint's tensors to a GGUF file in one streaming pass.
import { type BlockType, blockTypeOf, f16, f32 } from '@qlora/ggml-blocks';
import {
  type ByteSink,
  elementCount,
  pump,
  QloraError,
  type Tensor,
  type TensorInfo,
  type TensorSource,
  tensor,
  toFloat32,
} from '@qlora/tensor';
import { type FILE_TYPES, type LlamaHyperparameters, llamaMetadata, ropeFactors } from './llama-metadata';
import { checkTensors, ggufName, permutedHeads, permuteRows } from './llama-tensors';
import { sizeLabel } from './size-label';
import { tokenizerMetadata } from './tokenizer/metadata';
import type { TokenizerJson } from './tokenizer/tokenizer-json';
import { type GgufTensorPlan, ggufSink } from './writer';

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
  /** Called after each tensor, with its name in the file. */
  readonly onTensor?: (info: TensorInfo, index: number, total: number) => void;
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
 * Writes a GGUF file that llama.cpp loads: the same tensors, byte for byte, as its converter writes. One tensor is in
 * memory at a time.
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
    await pump(source, sink, (info, index) => model.onTensor?.(info, index, plans.length));
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

/** The source's tensors under llama.cpp's names and in its order of rows. */
function llamaSource(source: TensorSource, config: LlamaHyperparameters): TensorSource {
  const originals = new Map<string, string>();
  const tensors: TensorInfo[] = [];
  for (const info of source.tensors) {
    const name = ggufName(info.name, config.tiedEmbeddings, source.label);
    if (name === undefined) continue;
    originals.set(name, info.name);
    tensors.push({ ...info, name });
  }
  checkTensors(tensors, config, source.label);
  const factors = ropeFactors(config);
  if (factors) tensors.unshift({ name: 'rope_freqs.weight', dtype: 'f32', shape: [factors.length] });
  return {
    label: source.label,
    metadata: source.metadata,
    tensors,
    async read(name) {
      const original = originals.get(name);
      if (original === undefined)
        return tensor('f32', [factors?.length ?? 0], factors ?? new Float32Array(0));
      const read = await source.read(original);
      const values = tensor('f32', read.shape, finiteValues(read, [source.label, original]));
      const heads = permutedHeads(original, config);
      return heads === undefined ? values : permuteRows(values, heads);
    },
    close: () => source.close(),
  };
}

function finiteValues(read: Tensor, where: string[]): Float32Array {
  const values = toFloat32(read);
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new QloraError({
      what: `value ${i} is ${values[i]}`,
      where,
      fix: 'the checkpoint is damaged: fetch it again',
    });
  }
  return values;
}
