// From a checkpoint's tensors to a GGUF file in one streaming pass.
import { type BlockType, blockTypeOf, f16, f32 } from '@qlora/ggml-blocks';
import { type ByteSink, pump, type TensorInfo, type TensorSource, tensor } from '@qlora/tensor';
import { type LlamaHyperparameters, llamaMetadata, ropeFactors } from './llama-metadata';
import { ggufName, permutedHeads, permuteRows } from './llama-tensors';
import { type TokenizerJson, tokenizerMetadata } from './tokenizer-metadata';
import { type GgufTensorPlan, ggufSink } from './writer';

/** Types that {@link exportGguf} writes. */
export const GGUF_TYPES = ['f32', 'f16', 'bf16', 'q8_0'] as const;

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
  readonly tensors: number;
}

/**
 * Writes a GGUF file that llama.cpp loads. One tensor is in memory at a time.
 *
 * Matrices whose rows no block divides fall back to f16, as llama.cpp's converter does (convert_hf_to_gguf.py,
 * ModelBase.prepare_tensors); norms and biases are always f32.
 *
 * @throws QloraError for a tensor or tokenizer that llama.cpp has no form of. Nothing is left under the final name then.
 */
export async function exportGguf(model: GgufModel, bytes: ByteSink): Promise<GgufExport> {
  const { config, type } = model;
  const target = blockTypeOf(type);
  const fallbacks: { name: string; type: string; reason: string }[] = [];
  try {
    const metadata = new Map([
      ...llamaMetadata(config, type, model.name),
      ...tokenizerMetadata(model.tokenizer, config.vocabularySize),
    ]);
    const source = llamaSource(model.source, config);
    const plans: GgufTensorPlan[] = source.tensors.map(({ name, shape }) => {
      const chosen = chooseType(target, shape);
      if (chosen !== target && shape.length > 1) {
        fallbacks.push({
          name,
          type: chosen.name,
          reason: `rows of ${shape.at(-1)} are no whole blocks of ${target.blockSize}`,
        });
      }
      return { name, shape, type: chosen };
    });
    const sink = await ggufSink(bytes, metadata, plans);
    await pump(source, sink, (info, index) => model.onTensor?.(info, index, plans.length));
    return { fallbacks, tensors: plans.length };
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
  const factors = ropeFactors(config);
  if (factors) tensors.push({ name: 'rope_freqs.weight', dtype: 'f32', shape: [factors.length] });
  for (const info of source.tensors) {
    const name = ggufName(info.name, config.tiedEmbeddings);
    if (name === undefined) continue;
    originals.set(name, info.name);
    tensors.push({ ...info, name });
  }
  return {
    label: source.label,
    metadata: source.metadata,
    tensors,
    async read(name) {
      const original = originals.get(name);
      if (original === undefined)
        return tensor('f32', [factors?.length ?? 0], factors ?? new Float32Array(0));
      const read = await source.read(original);
      const heads = permutedHeads(original, config);
      return heads === undefined ? read : permuteRows(read, heads);
    },
    close: () => source.close(),
  };
}
