// A tape and the differentiable operations of a Llama over any backend.
export * from './attention';
export * from './cross-entropy';
export * from './elementwise';
export * from './matmul';
export * from './rows';
export * from './tape';
