// The compute contract: memory and some twenty operations on f32 buffers, each with its backward. An implementation is
// one folder beside this file. Odd on purpose:
//
// - Operations are enqueued; only `read` is asynchronous. A GPU fits behind the same contract as a plain loop.
// - Buffers are immutable but for the operations whose names say so (`write`, `writeRows`, `fill`, `addInto`, `matmulInto`,
//   `crossEntropyBackwardInto`, `adamw`).
// - Matrices are [rows, columns]. A batch of B sequences of S tokens is B·S rows; heads lie side by side in columns.
import type { QuantizedTensor } from '@qlora/quant-strategies';
import type { Shape } from '@qlora/tensor';

/** A block of memory that belongs to a backend. Opaque: only its backend can look inside. */
export interface Buffer {
  readonly shape: Shape;
  readonly type: 'f32' | 'i32';
}

/** A 4-bit weight [outFeatures, inFeatures] that belongs to a backend. */
export interface QuantizedBuffer {
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** Bytes that it takes. */
  readonly bytes: number;
}

/** How the rows of queries and keys are to be read by {@link Backend.attention}. */
export interface AttentionShape {
  /** Sequences in the batch. */
  readonly batch: number;
  /** Query rows of each sequence; they are its last ones. */
  readonly queryLength: number;
  /** Key rows of each sequence that count; at least `queryLength`. With batch 1 the key buffer may have more rows. */
  readonly keyLength: number;
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; divides `heads`. Query head h reads key head ⌊h · keyHeads / heads⌋. */
  readonly keyHeads: number;
  readonly headDim: number;
  /** What scores are multiplied by: 1/√headDim as a rule. */
  readonly scale: number;
}

/** Which position each row of a batch has. */
export interface RopeShape {
  /** Heads side by side in a row. */
  readonly heads: number;
  readonly headDim: number;
  /** Rows of a sequence: row r has position offset + r mod sequenceLength. */
  readonly sequenceLength: number;
  /** Position of the first row of each sequence. */
  readonly offset: number;
}

/** AdamW's constants of one step (Loshchilov and Hutter 2019; decay is decoupled). */
export interface AdamWStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Steps taken, this one included: 1 on the first. */
  readonly step: number;
  /** What the gradient is multiplied by first: clipping and accumulation. */
  readonly gradientScale: number;
}

/** Takes a buffer out of a scope: it belongs to the one around it, or to the caller. Returns the buffer. */
export type Keep = <B extends Buffer>(buffer: B) => B;

/** Memory in use, in bytes. */
export interface MemoryUse {
  readonly current: number;
  readonly peak: number;
}

/** Target that {@link Backend.crossEntropy} leaves out, as in PyTorch. */
export const IGNORE_INDEX = -100;

/** The compute contract. Every operation checks its shapes and throws a QloraError that names them. */
export interface Backend {
  readonly name: string;

  // ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────────
  /** A new buffer with a copy of `data`. */
  upload(data: Float32Array | Int32Array, shape: Shape): Buffer;
  /** A 4-bit matrix; `tensor.shape` is [outFeatures, inFeatures]. */
  uploadQuantized(tensor: QuantizedTensor): QuantizedBuffer;
  zeros(shape: Shape): Buffer;
  /** A copy of the content, once all that was enqueued before has run. */
  read(buffer: Buffer): Promise<Float32Array>;
  /** Overwrites the content. */
  write(buffer: Buffer, data: Float32Array | Int32Array): void;
  free(buffer: Buffer | QuantizedBuffer): void;
  /** Runs `body`, then frees every buffer that was made inside and not handed to `keep`. Scopes nest. */
  scope<T>(body: (keep: Keep) => Promise<T> | T): Promise<T>;
  /** As {@link scope} for a body that reads nothing: temporary buffers inside a step are gone at its end. */
  tidy<T>(body: (keep: Keep) => T): T;
  /**
   * Rows `start` to `start + count` of a matrix (elements of a vector), as a view: it shares its memory with `buffer`, owns
   * none, and must not be used after `buffer` is freed.
   */
  slice(buffer: Buffer, start: number, count: number): Buffer;
  memory(): MemoryUse;
  /**
   * Runs `body` with operations that take memory but compute nothing (`read` gives zeros, buffers made before keep their
   * content), and reserves what its scopes need at most, so that running it for real allocates nothing. Backends that give
   * each buffer memory of its own have no use for it.
   * @returns bytes reserved.
   */
  plan?(body: () => Promise<unknown>): Promise<number>;
  /** Ends workers and frees everything. */
  dispose(): Promise<void>;

  // ── products ────────────────────────────────────────────────────────────────────────────────────────────────────
  /** op(a) · op(b) for matrices, where op transposes if asked. */
  matmul(a: Buffer, b: Buffer, options?: { transposeA?: boolean; transposeB?: boolean }): Buffer;
  /** target += scale · op(a) · op(b), in place; scale is 1 by default. */
  matmulInto(
    target: Buffer,
    a: Buffer,
    b: Buffer,
    options?: { transposeA?: boolean; transposeB?: boolean; scale?: number },
  ): void;
  /** x · Wᵀ: [M, in] → [M, out]. */
  quantizedMatmul(x: Buffer, weight: QuantizedBuffer): Buffer;
  /** dy · W: [M, out] → [M, in], the gradient of {@link quantizedMatmul} with respect to x. */
  quantizedMatmulBackward(dy: Buffer, weight: QuantizedBuffer): Buffer;
  /** The weight in f32, [outFeatures, inFeatures]. */
  dequantize(weight: QuantizedBuffer): Buffer;

  // ── elementwise ─────────────────────────────────────────────────────────────────────────────────────────────────
  /** a + scale · b, of one shape; scale is 1 by default. */
  add(a: Buffer, b: Buffer, scale?: number): Buffer;
  /** target += scale · x, in place. */
  addInto(target: Buffer, x: Buffer, scale?: number): void;
  scale(x: Buffer, factor: number): Buffer;
  /** Sets every element, in place. */
  fill(target: Buffer, value: number): void;
  /** x [M, N] plus bias [N] on each row. */
  addBias(x: Buffer, bias: Buffer): Buffer;
  /** Column sums of [M, N]: the gradient of a bias. */
  sumRows(x: Buffer): Buffer;
  /**
   * x with each element zeroed with probability p, else divided by 1 − p. The mask is a pure function of the seed and
   * the element's index, so calling it on dy with the same seed is the backward.
   */
  dropout(x: Buffer, p: number, seed: number): Buffer;
  /** silu(gate) · up (Shazeer 2020), of one shape. */
  swiglu(gate: Buffer, up: Buffer): Buffer;
  swigluBackward(dy: Buffer, gate: Buffer, up: Buffer): { dGate: Buffer; dUp: Buffer };

  // ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────
  /** x / √(mean(x²) + epsilon) · weight by rows (Zhang and Sennrich 2019); `inverse` [M] is the factor before weight. */
  rmsNorm(x: Buffer, weight: Buffer, epsilon: number): { y: Buffer; inverse: Buffer };
  rmsNormBackward(dy: Buffer, x: Buffer, weight: Buffer, inverse: Buffer): Buffer;
  rmsNormWeightBackward(dy: Buffer, x: Buffer, inverse: Buffer): Buffer;
  /** Rows of `table` [V, D] by `ids` [M] (i32): [M, D]. */
  embedding(table: Buffer, ids: Buffer): Buffer;
  /** Gradient of the table: [vocabulary, D]. */
  embeddingBackward(dy: Buffer, ids: Buffer, vocabulary: number): Buffer;
  /** Copies `rows` into `target` from row `offset` on, in place (a key-value cache). */
  writeRows(target: Buffer, rows: Buffer, offset: number): void;

  // ── attention ───────────────────────────────────────────────────────────────────────────────────────────────────
  /**
   * Rotary embedding (Su et al. 2021), half-split order as in Hugging Face's Llama: pair i is (x[i], x[i + headDim/2]).
   * `cos` and `sin` are [positions, headDim/2]. `inverse` rotates back, which is the backward.
   */
  rope(x: Buffer, cos: Buffer, sin: Buffer, shape: RopeShape, inverse?: boolean): Buffer;
  /** Causal softmax attention with grouped heads; `logSumExp` [rows, heads] is kept for the backward. */
  attention(q: Buffer, k: Buffer, v: Buffer, shape: AttentionShape): { out: Buffer; logSumExp: Buffer };
  attentionBackward(
    dOut: Buffer,
    q: Buffer,
    k: Buffer,
    v: Buffer,
    out: Buffer,
    logSumExp: Buffer,
    shape: AttentionShape,
  ): { dQ: Buffer; dK: Buffer; dV: Buffer };

  // ── loss and optimizer ──────────────────────────────────────────────────────────────────────────────────────────
  /** Negative log likelihood by rows, in nats, of `targets` [M] (i32); rows of {@link IGNORE_INDEX} give 0. */
  crossEntropy(logits: Buffer, targets: Buffer): { losses: Buffer; logSumExp: Buffer };
  /** Overwrites logits with scale · (softmax(logits) − onehot(targets)), zero in ignored rows: over a large vocabulary a
   * second matrix of that size would be most of the memory of a step. */
  crossEntropyBackwardInto(logits: Buffer, targets: Buffer, logSumExp: Buffer, scale: number): void;
  /** Sum of squares over all buffers, as a buffer of one element: the global norm before its root. */
  sumSquares(buffers: readonly Buffer[]): Buffer;
  /** One AdamW step on `parameter` and its moments, in place. */
  adamw(parameter: Buffer, gradient: Buffer, m: Buffer, v: Buffer, step: AdamWStep): void;
}
