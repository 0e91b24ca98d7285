// ggml's tensor types, encode and decode.
export * from './contract';
export * from './floats';
export * from './q8-0';
export * from './registry';
