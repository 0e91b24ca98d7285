// The shape of a model that is as large as somebody says: a Llama that people know, with as many layers as that takes. Small
// sizes take a small Llama, so that the embedding is the largest tensor of each without being most of the model.
import { llamaFamily, parseLlamaConfig } from '@qlora/models';
import { byteLength, QloraError, type TensorInfo } from '@qlora/tensor';

interface Shape {
  readonly name: string;
  readonly hidden: number;
  readonly intermediate: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly vocabulary: number;
  readonly tied: boolean;
}

/** From the largest to the smallest; sizes as in the config.json of each. */
const LARGE_SHAPES: readonly Shape[] = [
  // Two embeddings of 1.05 GB in bf16, and layers of 0.44 GB.
  {
    name: 'Llama 3 8B',
    hidden: 4096,
    intermediate: 14336,
    heads: 32,
    keyHeads: 8,
    vocabulary: 128256,
    tied: false,
  },
  {
    name: 'Llama 3.2 1B',
    hidden: 2048,
    intermediate: 8192,
    heads: 32,
    keyHeads: 8,
    vocabulary: 128256,
    tied: true,
  },
  {
    name: 'SmolLM2 135M',
    hidden: 576,
    intermediate: 1536,
    heads: 9,
    keyHeads: 3,
    vocabulary: 49152,
    tied: true,
  },
];

/** apps/demo/model, whose tokenizer all of them have. */
const DEMO_SHAPE: Shape = {
  name: 'the model of the demo',
  hidden: 128,
  intermediate: 256,
  heads: 8,
  keyHeads: 2,
  vocabulary: 768,
  tied: true,
};

/** The part of a model that embeddings may be: more, and there would be a smaller shape that fits better. */
const EMBEDDING_PART = 1 / 3;
/** `parseLlamaConfig` takes no more. */
const MOST_LAYERS = 1024;

/** A model that is to be made. */
export interface LargeShape {
  /** The model whose layers it has. */
  readonly like: string;
  readonly layers: number;
  /** config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** In bf16, in the order of the family. */
  readonly tensors: readonly TensorInfo[];
  /** Linear layers of the blocks: the ones that are quantized and adapted. */
  readonly linearModules: readonly string[];
  /** Bytes of all tensors. */
  readonly bytes: number;
}

/**
 * The smallest model of whole layers that has at least `size` bytes in bf16.
 * @throws QloraError for a size that would take more than 1024 layers, some 450 GB.
 */
export function shapeFor(size: number): LargeShape {
  const shape = LARGE_SHAPES.find((one) => embeddingBytes(one) <= size * EMBEDDING_PART) ?? DEMO_SHAPE;
  const [one, two] = [withLayers(shape, 1), withLayers(shape, 2)];
  const layers = Math.max(1, 1 + Math.ceil((size - one.bytes) / (two.bytes - one.bytes)));
  if (layers > MOST_LAYERS) {
    throw new QloraError({
      what: `a model of ${size} bytes would have ${layers} layers like those of ${one.like}`,
      where: '--size',
      fix: `at most ${MOST_LAYERS} are taken: ask for less`,
    });
  }
  return withLayers(shape, layers);
}

const embeddingBytes = ({ vocabulary, hidden, tied }: Shape) => (tied ? 2 : 4) * vocabulary * hidden;

function withLayers(shape: Shape, layers: number): LargeShape {
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: shape.hidden,
    intermediate_size: shape.intermediate,
    num_hidden_layers: layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.keyHeads,
    head_dim: shape.hidden / shape.heads,
    vocab_size: shape.vocabulary,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: shape.tied,
    attention_bias: false,
    mlp_bias: false,
    // Those of the demo's tokenizer.
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: 'bfloat16',
  };
  const parsed = parseLlamaConfig(config);
  const tensors = [...llamaFamily.tensors(parsed)].map(
    ([name, dimensions]): TensorInfo => ({ name, dtype: 'bf16', shape: dimensions }),
  );
  return {
    like: shape.name,
    layers,
    config,
    tensors,
    linearModules: llamaFamily.linearModules(parsed),
    bytes: tensors.reduce((sum, { dtype, shape: dimensions }) => sum + byteLength(dtype, dimensions), 0),
  };
}
