// A Llama's tensors under llama.cpp's names (gguf-py/gguf/tensor_mapping.py), with the rows of q and k in the order of
// its rotary embedding (conversion/llama.py, LlamaModel.permute): Hugging Face rotates pairs (i, i + half), llama.cpp
// pairs (2i, 2i + 1).
import { QloraError, type Shape, type Tensor, type TensorInfo, tensor } from '@qlora/tensor';
import type { LlamaHyperparameters } from './llama-metadata';

const outer: ReadonlyMap<string, string> = new Map([
  ['model.embed_tokens', 'token_embd'],
  ['model.norm', 'output_norm'],
  ['lm_head', 'output'],
]);
const inner: ReadonlyMap<string, string> = new Map([
  ['input_layernorm', 'attn_norm'],
  ['post_attention_layernorm', 'ffn_norm'],
  ['self_attn.q_proj', 'attn_q'],
  ['self_attn.k_proj', 'attn_k'],
  ['self_attn.v_proj', 'attn_v'],
  ['self_attn.o_proj', 'attn_output'],
  ['mlp.gate_proj', 'ffn_gate'],
  ['mlp.up_proj', 'ffn_up'],
  ['mlp.down_proj', 'ffn_down'],
]);

/**
 * llama.cpp's name of a tensor, or undefined for one that it does not want (old checkpoints carry rotary tables; a tied
 * model may repeat its embedding as `lm_head`).
 * @throws QloraError for a tensor that is no part of a Llama.
 */
export function ggufName(name: string, tiedEmbeddings: boolean, label?: string): string | undefined {
  if (name.endsWith('.rotary_emb.inv_freq')) return undefined;
  const dot = name.lastIndexOf('.');
  const module = name.slice(0, dot);
  const kind = name.slice(dot + 1);
  if (module === 'lm_head' && tiedEmbeddings) return undefined;
  const block = /^model\.layers\.(\d+)\.(.+)$/.exec(module);
  const mapped = block ? inner.get(block[2] ?? '') : outer.get(module);
  if (mapped === undefined || (kind !== 'weight' && kind !== 'bias')) {
    throw new QloraError({
      what: `tensor "${name}" is no part of a Llama`,
      where: label,
      fix: 'llama.cpp has no name for it',
    });
  }
  return block ? `blk.${block[1]}.${mapped}.${kind}` : `${mapped}.${kind}`;
}

/** The shape of every tensor that llama.cpp will look for, by its name there. */
export function ggufShapes(config: LlamaHyperparameters): Map<string, Shape> {
  const { hiddenSize: hidden, intermediateSize: wide, vocabularySize } = config;
  const queries = config.heads * config.headDim;
  const keys = config.keyHeads * config.headDim;
  const shapes = new Map<string, Shape>([['token_embd.weight', [vocabularySize, hidden]]]);
  for (let i = 0; i < config.layers; i++) {
    const linear = (name: string, out: number, input: number, bias: boolean) => {
      shapes.set(`blk.${i}.${name}.weight`, [out, input]);
      if (bias) shapes.set(`blk.${i}.${name}.bias`, [out]);
    };
    shapes.set(`blk.${i}.attn_norm.weight`, [hidden]);
    shapes.set(`blk.${i}.ffn_norm.weight`, [hidden]);
    linear('attn_q', queries, hidden, config.attentionBias);
    linear('attn_k', keys, hidden, config.attentionBias);
    linear('attn_v', keys, hidden, config.attentionBias);
    linear('attn_output', hidden, queries, config.attentionBias);
    linear('ffn_gate', wide, hidden, config.mlpBias);
    linear('ffn_up', wide, hidden, config.mlpBias);
    linear('ffn_down', hidden, wide, config.mlpBias);
  }
  shapes.set('output_norm.weight', [hidden]);
  if (!config.tiedEmbeddings) shapes.set('output.weight', [vocabularySize, hidden]);
  return shapes;
}

/**
 * Throws unless `tensors`, under llama.cpp's names, are those that the config promises: llama.cpp takes a model without
 * `output.weight` for a tied one, and ignores what it does not know.
 * @throws QloraError naming the tensor and what would be right.
 */
export function checkTensors(
  tensors: readonly TensorInfo[],
  config: LlamaHyperparameters,
  label: string,
): void {
  const missing = ggufShapes(config);
  for (const { name, shape } of tensors) {
    const expected = missing.get(name);
    if (!missing.delete(name)) {
      const twice = tensors.filter((info) => info.name === name).length > 1;
      throw new QloraError({
        what: twice ? 'is there twice' : 'is a tensor that the config does not speak of',
        where: [label, name],
        fix: 'config.json and weights must be of one model',
      });
    }
    if (expected?.join() === shape.join()) continue;
    throw new QloraError({
      what: `has shape [${shape.join(', ')}], by the config it is [${expected?.join(', ')}]`,
      where: [label, name],
      fix: 'config.json and weights must be of one model',
    });
  }
  const [first] = missing.keys();
  if (first === undefined) return;
  throw new QloraError({
    what: `lacks ${missing.size} tensors of the model: ${first}${missing.size > 1 ? ', …' : ''}`,
    where: label,
    fix: 'fetch the checkpoint again, all of its shards',
  });
}

/** Heads whose rows have to be permuted in this tensor of a checkpoint, or undefined. */
export function permutedHeads(name: string, config: LlamaHyperparameters): number | undefined {
  if (/self_attn\.q_proj\.(weight|bias)$/.test(name)) return config.heads;
  if (/self_attn\.k_proj\.(weight|bias)$/.test(name)) return config.keyHeads;
  return undefined;
}

/** Rows of each head from half-split to interleaved order. */
export function permuteRows({ data: values, shape }: Tensor<'f32'>, heads: number): Tensor<'f32'> {
  const rows = shape[0] ?? 0;
  const width = values.length / rows;
  const half = rows / heads / 2;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const head = Math.floor(row / (2 * half));
    const within = row % (2 * half);
    // Row `within` of the result is member within % 2 of pair within / 2.
    const from = head * 2 * half + (within % 2) * half + (within >> 1);
    out.set(values.subarray(from * width, (from + 1) * width), row * width);
  }
  return tensor('f32', shape, out);
}
