// A Llama's tensors under llama.cpp's names (gguf-py/gguf/tensor_mapping.py), with the rows of q and k in the order of
// its rotary embedding (convert_hf_to_gguf.py, LlamaModel.permute): Hugging Face rotates pairs (i, i + half), llama.cpp
// pairs (2i, 2i + 1).
import { fromFloat32, QloraError, type Tensor, toFloat32 } from '@qlora/tensor';
import type { LlamaHyperparameters } from './llama-metadata';

const outer: Record<string, string> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
};
const inner: Record<string, string> = {
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/**
 * llama.cpp's name of a tensor, or undefined for one that it does not want (old checkpoints carry rotary tables; a tied
 * model may repeat its embedding as `lm_head`).
 * @throws QloraError for a tensor that is no part of a Llama.
 */
export function ggufName(name: string, tiedEmbeddings: boolean): string | undefined {
  if (name.endsWith('.rotary_emb.inv_freq')) return undefined;
  const dot = name.lastIndexOf('.');
  const module = name.slice(0, dot);
  const kind = name.slice(dot + 1);
  if (module === 'lm_head' && tiedEmbeddings) return undefined;
  const block = /^model\.layers\.(\d+)\.(.+)$/.exec(module);
  const [, index, part] = block ?? [];
  const table = block ? inner : outer;
  const key = part ?? module;
  const mapped = Object.hasOwn(table, key) ? table[key] : undefined;
  if (!mapped || (kind !== 'weight' && kind !== 'bias')) {
    throw new QloraError({
      what: `tensor "${name}" is no part of a Llama`,
      fix: 'llama.cpp has no name for it',
    });
  }
  return block ? `blk.${index}.${mapped}.${kind}` : `${mapped}.${kind}`;
}

/** Heads whose rows have to be permuted in this tensor, or undefined. */
export function permutedHeads(name: string, config: LlamaHyperparameters): number | undefined {
  if (/self_attn\.q_proj\.(weight|bias)$/.test(name)) return config.heads;
  if (/self_attn\.k_proj\.(weight|bias)$/.test(name)) return config.keyHeads;
  return undefined;
}

/** Rows of each head from half-split to interleaved order. */
export function permuteRows(tensor: Tensor, heads: number): Tensor {
  const values = toFloat32(tensor);
  const rows = tensor.shape[0] ?? 0;
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
  return fromFloat32('f32', tensor.shape, out);
}
