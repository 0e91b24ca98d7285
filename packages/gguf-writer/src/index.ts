// GGUF: a streaming writer, a strict reader, and the export of Llamas with their tokenizers.
export { GGUF_ALIGNMENT, GGUF_MAGIC, GGUF_VERSION } from './container';
export * from './encode';
export * from './export';
export { importanceOf, readImatrix } from './imatrix';
export type { Imatrix } from './imatrix-rules';
export * from './llama-metadata';
export { ggufName, ggufShapes } from './llama-tensors';
export * from './reader';
export { type TokenizerMetadata, tokenizerMetadata } from './tokenizer/metadata';
export { PRE_TOKENIZERS, type PreTokenizerName } from './tokenizer/pre-tokenizers';
export type { TokenizerJson } from './tokenizer/tokenizer-json';
export { type GgufMetadata, type GgufScalar, type GgufValue, type ScalarType, VALUE_TYPES } from './value';
export * from './writer';
