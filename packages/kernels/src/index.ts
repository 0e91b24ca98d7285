// WebAssembly kernels and the threads that run them: arithmetic on memory, nothing else. No shapes, no tensors.
export { absmaxBlocks, centreBlocks, decodeBlocks, encodeBlocks, quantizeBlocks } from './codec-blocks';
export { type CodebookTables, codebookTables } from './codec-codebook';
export { cascadeSums, doubleDequantizeBlocks, doubleQuantizeBlocks } from './codec-double';
export { allFinite } from './codec-finite';
export { type FloatKind, narrowHalf, widenHalf } from './codec-half';
export { decodeQ8Blocks, encodeQ8Blocks } from './codec-q8';
export { type Compute, type ComputeOptions, createCompute, grow, threadCount } from './compute';
export { type Features, features } from './features';
export { decodeGgmlBlocks, encodeGgmlBlocks, encodeGgmlRow, type GgmlKind } from './ggml-blocks';
