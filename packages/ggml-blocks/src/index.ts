// ggml's tensor types: layouts of all, encode and decode of those that models are stored in.
export * from './contract';
export * from './floats';
export { mxfp4, nvfp4 } from './fp4';
export { iq4_nl, iq4_xs } from './iq4';
export * from './layouts';
export { q4_0, q4_1, q5_0, q5_1 } from './legacy';
export { q2_K } from './q2-k';
export { q3_K } from './q3-k';
export { q4_K } from './q4-k';
export { q5_K } from './q5-k';
export { q6_K } from './q6-k';
export { q8_0 } from './q8-0';
export * from './registry';
