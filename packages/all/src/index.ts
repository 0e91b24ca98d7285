// Everything under one import, for Node and browsers. What touches a file system is in `@qlora/all/node`.
export * from '@qlora/autograd';
export * from '@qlora/backend';
export * from '@qlora/convert';
export * from '@qlora/double-quant';
export * as ggml from '@qlora/ggml-blocks';
export * from '@qlora/gguf-writer';
export * as kernels from '@qlora/kernels';
export * from '@qlora/models';
export * from '@qlora/nf4';
export * from '@qlora/ollama';
export * from '@qlora/peft';
export * from '@qlora/qlora-layer';
export * from '@qlora/qnat-writer';
export * from '@qlora/quant-strategies';
export * from '@qlora/safetensors';
export * from '@qlora/tensor';
export * from '@qlora/trainer';
