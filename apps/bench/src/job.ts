// What a driver can be asked to run. The same description goes to every driver, as JSON; each takes the kinds and
// variants that it knows and refuses the others.

/** A Llama with random weights. */
export interface ModelShape {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly vocabulary: number;
  readonly context: number;
}

/** A weight [outFeatures, inFeatures], in a file of f32 once the data is there. */
interface OnWeight {
  readonly outFeatures: number;
  readonly inFeatures: number;
}

/** A 4-bit model with LoRA, and sequences for it. */
interface OnModel {
  readonly model: ModelShape;
  readonly rank: number;
  readonly batch: number;
  readonly sequenceLength: number;
  /** Gradient checkpointing, block by block. */
  readonly checkpointing: boolean;
}

/** Codecs over one weight. */
export const CODEC_KINDS = [
  'quantize',
  'dequantize',
  'double-quantize',
  'double-dequantize',
  'q8_0-encode',
  'q8_0-decode',
  'f32-to-f16',
  'f16-to-f32',
  'f32-to-bf16',
  'bf16-to-f32',
] as const;

/** One of {@link CODEC_KINDS}. */
export type CodecKind = (typeof CODEC_KINDS)[number];

/** What is to be run, but for its data. */
export type Work =
  | ({ readonly kind: CodecKind } & OnWeight)
  /** y = x·Wᵀ forward, dx = dy·W backward, for `rows` rows. */
  | ({
      readonly kind: 'matmul';
      readonly rows: number;
      readonly direction: 'forward' | 'backward';
    } & OnWeight)
  /** A 4-bit layer with LoRA, forward and backward: y, then the gradients of x, A and B. */
  | ({ readonly kind: 'layer'; readonly rows: number; readonly rank: number } & OnWeight)
  /** A step of the trainer on all linear layers of the blocks, optimizer included. */
  | ({ readonly kind: 'training' } & OnModel)
  /** The loss of one sequence. */
  | ({ readonly kind: 'evaluation' } & OnModel);

/** How an entrant does it, where there is more than one way. */
export type Variant =
  | 'nf4 f32'
  | 'dense f32'
  | 'fused bf16'
  | 'dequantize f32'
  | 'dequantize bf16'
  // Instead of the codec, what the machine does with the weight's bytes: copies them, into memory that is there or new.
  | 'old memory'
  | 'new memory';

/** A job for a driver: the work, the way, and files of f32 with the data. */
export type Job = Work & {
  readonly variant?: Variant | undefined;
  readonly weight?: string;
  readonly x?: string;
  readonly dy?: string;
};
