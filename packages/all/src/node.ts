// Files and folders of every package under one import: `@qlora/all/node`.
export * from '@qlora/convert/node';
export * from '@qlora/models/node';
export * from '@qlora/peft/node';
export * from '@qlora/safetensors/node';
export * from '@qlora/tensor/node';
