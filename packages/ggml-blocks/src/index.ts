// ggml's tensor types: layouts of all, encode and decode of some.
export * from './contract';
export * from './floats';
export * from './layouts';
export * from './q8-0';
export * from './registry';
