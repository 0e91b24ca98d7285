// The codec module: quantization formats and 16-bit floats, encoded and decoded bit for bit as their plain TypeScript twins
// do it. No relaxed SIMD: a fused multiply-add would give other bytes. The host streams arrays through a window of this
// memory (src/codec.ts); every function takes addresses in bytes, keeps no state, and allocates nothing.
export * from './absmax';
export * from './centre';
export * from './codebook-decode';
export * from './codebook-encode';
export * from './double';
export * from './half';
export * from './mean';
export * from './q8';
