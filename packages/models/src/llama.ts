// The Llama (Touvron et al. 2023): blocks of rotary grouped-query attention and SwiGLU with RMS norms before each, over
// a residual stream. Rows are tokens; a batch of B sequences of S tokens is B·S rows.
import {
  addInto,
  attention,
  checkpoint,
  embedding,
  type Loss,
  linear,
  linearCrossEntropy,
  Parameter,
  rmsNorm,
  rope,
  swiglu,
  type Tape,
  type Variable,
} from '@qlora/autograd';
import type { Backend, Buffer } from '@qlora/backend';
import type { Linear } from '@qlora/qlora-layer';
import { QloraError } from '@qlora/tensor';
import type { LlamaConfig } from './config';
import type { KeyValueCache } from './kv-cache';
import { ropeTable } from './rope-table';

/** Names of the projections of a block, as modules. */
export const LLAMA_PROJECTIONS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;

/** A projection of a block. */
export type LlamaProjection = (typeof LLAMA_PROJECTIONS)[number];

/** The parts of a block. */
export interface LlamaBlock {
  readonly projections: Readonly<Record<LlamaProjection, Linear>>;
  readonly inputNorm: Variable;
  readonly postAttentionNorm: Variable;
}

/** All that a Llama is made of. */
export interface LlamaWeights {
  /** [vocabulary, hidden]. */
  readonly embedding: Variable;
  readonly blocks: readonly LlamaBlock[];
  readonly norm: Variable;
  /** [vocabulary, hidden]; the embedding itself when tied. */
  readonly output: Variable;
}

/** Rows of a batch and where they stand. */
export interface BatchShape {
  readonly batch: number;
  /** Tokens of each sequence in this pass. */
  readonly sequenceLength: number;
}

/** How hidden states are computed. */
export interface HiddenOptions {
  /** Keys and values of what came before, for a batch of one; this pass's are added to it. */
  readonly cache?: KeyValueCache | undefined;
  /**
   * Keep the output of each block alone and compute blocks again in the backward pass: much less memory for a fifth
   * to a third more time, and the same gradients. Default false.
   */
  readonly gradientCheckpointing?: boolean;
}

/** Rotary angles of the positions of one pass, [sequenceLength, headDim/2]. */
interface Angles {
  readonly cos: Buffer;
  readonly sin: Buffer;
}

/** A Llama on a backend. */
export class LlamaModel {
  readonly config: LlamaConfig;
  readonly backend: Backend;
  readonly weights: LlamaWeights;
  /** The linear layers that can be adapted, by module name; the output embedding is not among them. */
  readonly linears: ReadonlyMap<string, Linear>;

  constructor(backend: Backend, config: LlamaConfig, weights: LlamaWeights) {
    this.backend = backend;
    this.config = config;
    this.weights = weights;
    this.linears = new Map(
      weights.blocks.flatMap((b) => Object.values(b.projections).map((l) => [l.name, l] as const)),
    );
  }

  /** All that trains, in a fixed order: adapters, and base weights where they are parameters. */
  get parameters(): Parameter[] {
    const { embedding, norm, output, blocks } = this.weights;
    const variables = [embedding, ...blocks.flatMap((b) => [b.inputNorm, b.postAttentionNorm]), norm, output];
    const own = new Set(variables.filter((variable) => variable instanceof Parameter));
    return [...own, ...[...this.linears.values()].flatMap((linear) => linear.parameters)];
  }

  /**
   * Hidden states [B·S, hidden] after the last norm, for token ids [B·S] (i32). On a tape that does not record, the
   * temporary buffers of a block are gone before the next one.
   *
   * @throws QloraError if the sequence is longer than the model's context.
   */
  hidden(tape: Tape, ids: Buffer, shape: BatchShape, options: HiddenOptions = {}): Variable {
    const { backend, config, weights } = this;
    const { cache, gradientCheckpointing = false } = options;
    const offset = cache?.length ?? 0;
    if (offset + shape.sequenceLength > config.contextLength) {
      throw new QloraError({
        what: `${offset + shape.sequenceLength} tokens are longer than the model's context of ${config.contextLength}`,
        fix: 'use a shorter sequence length or text',
      });
    }
    // The angles of this pass only: a model may claim a context of millions.
    const { cos, sin } = ropeTable(config, shape.sequenceLength, offset);
    const size = [shape.sequenceLength, config.headDim / 2];
    const angles = { cos: backend.upload(cos, size), sin: backend.upload(sin, size) };
    /** The result, after which a pass that records nothing has no more use for x. */
    const replace = (x: Variable, result: Variable): Variable => {
      if (!tape.recording) backend.free(x.value);
      return result;
    };
    let x = embedding(tape, weights.embedding, ids);
    weights.blocks.forEach((block, index) => {
      const body = (on: Tape, [input]: readonly [Variable]) =>
        this.#block(on, block, index, input, angles, shape, cache);
      const apart = gradientCheckpointing || !tape.recording;
      x = replace(x, apart ? checkpoint(tape, [x], body) : body(tape, [x]));
    });
    if (cache) cache.length += shape.sequenceLength;
    return replace(x, rmsNorm(tape, x, weights.norm, config.normEpsilon));
  }

  /** Logits [M, vocabulary] of hidden states, or of some rows of them (i32 indices). */
  logits(tape: Tape, hidden: Variable, rows?: Buffer): Variable {
    const chosen = rows ? embedding(tape, hidden, rows) : hidden;
    return linear(tape, chosen, this.weights.output);
  }

  /**
   * Cross entropy of hidden states against the ids that follow, IGNORE_INDEX where nothing is to be predicted. Logits are
   * there a few rows at a time ({@link linearCrossEntropy}), and the losses are those of the rows that count.
   */
  loss(tape: Tape, hidden: Variable, targets: Int32Array): Loss {
    return linearCrossEntropy(tape, hidden, this.weights.output, targets);
  }

  #block(
    tape: Tape,
    block: LlamaBlock,
    index: number,
    x: Variable,
    angles: Angles,
    shape: BatchShape,
    cache: KeyValueCache | undefined,
  ): Variable {
    const { config } = this;
    const p = block.projections;
    const normed = rmsNorm(tape, x, block.inputNorm, config.normEpsilon);
    const attended = this.#attend(tape, p, index, normed, angles, shape, cache);
    // Into the layer's own output, which nothing else needs; not into x, which the norm's backward needs.
    const middle = addInto(tape, p['self_attn.o_proj'].forward(tape, attended), x);
    const inner = rmsNorm(tape, middle, block.postAttentionNorm, config.normEpsilon);
    const gated = swiglu(
      tape,
      p['mlp.gate_proj'].forward(tape, inner),
      p['mlp.up_proj'].forward(tape, inner),
    );
    return addInto(tape, p['mlp.down_proj'].forward(tape, gated), middle);
  }

  #attend(
    tape: Tape,
    p: LlamaBlock['projections'],
    index: number,
    x: Variable,
    { cos, sin }: Angles,
    { batch, sequenceLength }: BatchShape,
    cache: KeyValueCache | undefined,
  ): Variable {
    const { heads, keyHeads, headDim } = this.config;
    const offset = cache?.length ?? 0;
    const rotate = (y: Variable, count: number) => {
      const rotated = rope(tape, y, cos, sin, { heads: count, headDim, sequenceLength, offset: 0 });
      // Rotating back needs only the gradient.
      this.backend.free(y.value);
      return rotated;
    };
    const q = rotate(p['self_attn.q_proj'].forward(tape, x), heads);
    let k = rotate(p['self_attn.k_proj'].forward(tape, x), keyHeads);
    let v = p['self_attn.v_proj'].forward(tape, x);
    if (cache) {
      k = tape.constant(cache.append(index, 'keys', k.value));
      v = tape.constant(cache.append(index, 'values', v.value));
    }
    return attention(tape, q, k, v, {
      batch,
      queryLength: sequenceLength,
      keyLength: offset + sequenceLength,
      heads,
      keyHeads,
      headDim,
      scale: 1 / Math.sqrt(headDim),
    });
  }
}
