// The module of ggml's block types: encoded and decoded bit for bit as their plain TypeScript twins do it. No relaxed SIMD: a
// fused multiply-add would give other bytes. The host streams arrays through a window of this memory (src/ggml.ts); every
// function takes addresses in bytes, keeps nothing between calls, and allocates nothing.
//
// ggml's encoders search for scales by sums that it adds up in order, one value after another, in f32. Here four groups of
// values lie in the lanes of vectors, so that each group's sums are added up in that order too.
export * from './iq4';
export * from './q4-0';
export * from './q4-k';
export * from './q5-k';
export * from './q6-k';
