// The compute module: what a backend needs, on f32 in one memory. Every kernel takes addresses in bytes and, last, which
// part of the work to do: it is called on one thread with all of it or on several with parts.
export { matmul, productBlocks, quantizedMatmul, quantizedMatmulBackward } from './products';
export { scratchBytes, setScratch } from './scratch';
export { quantizedVector, splitPairs, vectorLimit } from './vector';
export { dequantize } from './weight';
export {
  attention, attentionBackwardKeyValue, attentionBackwardQuery, attentionHeadDimLimit, attentionKeyUnits,
  attentionQueryUnits, attentionUnits,
} from './attention';
export { add, addBias, addInto, copy, dropout, exponential, fill, scale, swiglu, swigluBackward } from './elementwise';
export { crossEntropy, crossEntropyBackwardInto } from './loss';
export { log } from './math';
export { adamw, sumSquares, sumSquaresChunks } from './optimizer';
export { rope } from './rope';
export {
  columnStrips, embedding, embeddingBackward, rmsNorm, rmsNormBackward, rmsNormWeightBackward, sumRows,
} from './rows';
