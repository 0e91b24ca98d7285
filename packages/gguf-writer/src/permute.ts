// The order of rows in q and k: Hugging Face rotates pairs (i, i + half) of a head, llama.cpp pairs (2i, 2i + 1) in its
// architecture `llama` (conversion/llama.py, LlamaModel.permute).

/** Rows of whole heads from half-split to interleaved order. @param headDim rows of a head. */
export function permuteRows(values: Float32Array, width: number, headDim: number): Float32Array {
  const half = headDim / 2;
  const out = new Float32Array(values.length);
  for (let row = 0; row < values.length / width; row++) {
    const within = row % headDim;
    // Row `within` of the result is member within % 2 of pair within / 2.
    const from = row - within + (within % 2) * half + (within >> 1);
    out.set(values.subarray(from * width, (from + 1) * width), row * width);
  }
  return out;
}
