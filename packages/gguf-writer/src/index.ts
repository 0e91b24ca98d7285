// GGUF: a streaming writer, a strict reader, and the export of models with their tokenizers.
export { GGUF_ALIGNMENT, GGUF_MAGIC, GGUF_VERSION } from './container';
export * from './encode';
export * from './export';
export { type ConfigJson, ConfigReader } from './families/config';
export type {
  GgufDescription,
  GgufExtraTensor,
  GgufFamily,
  GgufTensorRule,
  GgufTokenizerRules,
} from './families/contract';
export { ggufFamilies, ggufFamilyOf } from './families/registry';
export { importanceOf, readImatrix } from './imatrix';
export type { Imatrix } from './imatrix-rules';
export * from './lora';
export * from './lora-contract';
export * from './reader';
export { GGUF_TYPES, type GgufType } from './recipes';
export { GGUF_RULES, type GgufRule, IMATRIX_RULES, type ImatrixRule } from './rules';
export { type GgufPart, ggufPartName, type OpenGgufPart, readGgufParts } from './split';
export type { TokenizerFiles as GgufTokenizerFiles } from './tokenizer/files';
export { type TokenizerMetadata, type TokenizerModel, tokenizerMetadata } from './tokenizer/metadata';
export { PRE_TOKENIZERS, type PreTokenizerName } from './tokenizer/pre-tokenizers';
export { type GgufMetadata, type GgufScalar, type GgufValue, type ScalarType, VALUE_TYPES } from './value';
export * from './writer';
