// NF4 and FP4, the 4-bit codebooks of QLoRA, byte for byte as bitsandbytes has them. Synchronous, no set-up.
export {
  type BlockOptions,
  checkBlockSize,
  DEFAULT_BLOCK_SIZE,
  type DequantizeOptions,
  type FloatArrayOf,
  type FloatDType,
  type FloatValues,
  type QuantizedBlocks,
} from './blocks';
export { type CodebookCodec, codebookCodec } from './codebook';
export * from './fp4';
export * from './nf4';
export * from './normal-float';
export * from './normal-quantile';
