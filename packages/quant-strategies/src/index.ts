// Quantization strategies and QuantizedTensor, over the codecs of `@qlora/nf4` and the double quantization of
// `@qlora/double-quant`.
export { blockUnit, checkFinite, checkSizes, finiteValues, packScales, scalesOf } from './blocks';
export * from './blockwise';
export * from './contract';
export { PART_VALUES } from './cut';
export * from './decoded-parts';
export * from './error-analysis';
export * from './part-shape';
export * from './parts';
export * from './per-channel';
export * from './quantization-of';
export * from './quantize';
export * from './registry';
export * from './source';
export * from './zero-point';
