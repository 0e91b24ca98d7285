// NF4 and FP4, the 4-bit codebooks of QLoRA, byte for byte as bitsandbytes has them. Synchronous, no set-up.
export {
  type BlockOptions,
  type CodebookCodec,
  checkBlockSize,
  codebookCodec,
  DEFAULT_BLOCK_SIZE,
  type QuantizedBlocks,
} from './codebook';
export * from './fp4';
export * from './nf4';
