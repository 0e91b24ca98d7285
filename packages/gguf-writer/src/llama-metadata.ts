// A Llama's hyperparameters as llama.cpp reads them (conversion/base.py, TextModel.set_gguf_parameters, and
// conversion/llama.py of llama.cpp v0.5.0; keys in gguf-py/gguf/constants.py).
import { f32Value, type GgufValue, text, u32 } from './value';

/** What llama.cpp needs to know of a Llama; `LlamaConfig` of `@qlora/models` is one. */
export interface LlamaHyperparameters {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly normEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling:
    | { readonly type: 'default' }
    | { readonly type: 'linear'; readonly factor: number }
    | {
        readonly type: 'llama3';
        readonly factor: number;
        readonly lowFrequencyFactor: number;
        readonly highFrequencyFactor: number;
        readonly originalContext: number;
      };
  readonly tiedEmbeddings: boolean;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  /** Used where the tokenizer's own files name no begin token. */
  readonly bosTokenId?: number | undefined;
  /** Used where the tokenizer's own files name no end token. */
  readonly eosTokenIds?: readonly number[];
}

/** What a file is mostly made of (include/llama.h, enum llama_ftype). */
export const FILE_TYPES = { f32: 0, f16: 1, q8_0: 7, bf16: 32 } as const;

/** Metadata of the architecture `llama`. */
export function llamaMetadata(
  config: LlamaHyperparameters,
  type: keyof typeof FILE_TYPES,
  name: string,
  sizeLabel: string,
): Map<string, GgufValue> {
  const scaling = config.ropeScaling;
  const linear: [string, GgufValue][] =
    scaling.type === 'linear'
      ? [
          ['llama.rope.scaling.type', text('linear')],
          ['llama.rope.scaling.factor', f32Value(scaling.factor)],
        ]
      : [];
  return new Map<string, GgufValue>([
    ['general.architecture', text('llama')],
    ['general.type', text('model')],
    ['general.name', text(name)],
    ['general.size_label', text(sizeLabel)],
    ['llama.block_count', u32(config.layers)],
    ['llama.context_length', u32(config.contextLength)],
    ['llama.embedding_length', u32(config.hiddenSize)],
    ['llama.feed_forward_length', u32(config.intermediateSize)],
    ['llama.attention.head_count', u32(config.heads)],
    ['llama.attention.head_count_kv', u32(config.keyHeads)],
    ...linear,
    ['llama.rope.freq_base', f32Value(config.ropeTheta)],
    ['llama.attention.layer_norm_rms_epsilon', f32Value(config.normEpsilon)],
    ['llama.attention.key_length', u32(config.headDim)],
    ['llama.attention.value_length', u32(config.headDim)],
    ['general.file_type', u32(FILE_TYPES[type])],
    ['llama.vocab_size', u32(config.vocabularySize)],
    ['llama.rope.dimension_count', u32(config.headDim)],
    // ggml/include/ggml.h, GGML_QNT_VERSION.
    ['general.quantization_version', u32(2)],
  ]);
}

/**
 * What rotary frequencies are divided by, for Llama 3.1's scaling: the tensor `rope_freqs.weight` [headDim/2]
 * (conversion/llama.py, LlamaModel.generate_extra_tensors). Undefined where no such tensor is needed.
 */
export function ropeFactors(config: LlamaHyperparameters): Float32Array | undefined {
  const scaling = config.ropeScaling;
  if (scaling.type !== 'llama3') return undefined;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
  return Float32Array.from({ length: config.headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * config.ropeTheta ** ((2 * i) / config.headDim);
    if (wavelength < originalContext / high) return 1;
    if (wavelength > originalContext / low) return factor;
    const smooth = (originalContext / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
