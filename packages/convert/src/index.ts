// Checkpoints of any size, converted range by range: what becomes of each tensor, and how a range is computed. What touches
// files and threads is in `@qlora/convert/node`.
export * from './analyze';
export * from './analyze-measure';
export * from './analyze-schemes';
export * from './analyze-select';
export * from './config-text';
export * from './copy';
export * from './items';
export * from './linear-weights';
export * from './merge';
export * from './quantize';
export * from './range-place';
export * from './tasks';
export * from './trained-weights';
export * from './transposed';
