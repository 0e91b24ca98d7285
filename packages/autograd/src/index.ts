// A tape and the differentiable operations of a Llama over any backend.
export * from './attention';
export * from './checkpoint';
export { crossEntropy, type Loss } from './cross-entropy';
export * from './elementwise';
export * from './linear-cross-entropy';
export * from './matmul';
export * from './rows';
export * from './tape';
export { Parameter, prepareGradients, type Variable } from './variable';
