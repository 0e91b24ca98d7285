// Adapters over an abstract linear layer, and their form in Hugging Face's files. Nothing here touches a file system;
// folders are in `@qlora/peft/node`.
export * from './adapter-file';
export * from './base-quantization';
export * from './check-adapter';
export * from './contract';
export * from './lora';
export * from './lora-config';
export * from './lora-modules';
export * from './merged-rows';
export * from './merged-source';
export * from './methods';
export { ALL_LINEAR, matchTargetModules } from './target-modules';
