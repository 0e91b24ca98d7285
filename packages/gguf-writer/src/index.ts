// GGUF: a streaming writer, a strict header reader, and the export of Llamas with their tokenizers.
export * from './export';
export * from './llama-metadata';
export * from './llama-tensors';
export * from './reader';
export * from './tokenizer-metadata';
export { type GgufMetadata, type GgufValue, type ScalarType, VALUE_TYPES } from './value';
export * from './writer';
