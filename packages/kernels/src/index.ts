// WebAssembly kernels and the threads that run them: arithmetic on memory, nothing else. No shapes, no tensors.
export { type Compute, type ComputeOptions, createCompute, grow } from './compute';
export { type Features, features } from './features';
