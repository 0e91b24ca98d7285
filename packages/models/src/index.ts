// Models: configs, families, forward pass, tokenizers, generation, adapters in place. Nothing here touches a file
// system; folders are in `@qlora/models/node`.
export * from './adapt';
export * from './checkpoint';
export * from './config';
export * from './contract';
export * from './family';
export * from './generate';
export * from './kv-cache';
export * from './llama';
export { llamaFamily, llamaTensors } from './llama-family';
export * from './rope-table';
export * from './sampling';
export * from './tokenizer';
