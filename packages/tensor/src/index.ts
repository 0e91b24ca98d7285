// Tensor storage and the contracts that carry tensors. Nothing here touches a file system.
export * from './bytes';
export * from './conversion';
export * from './dtype';
export * from './error';
export * from './finite';
export { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './half';
export * from './half-arrays';
export * from './printable';
export * from './random';
export * from './stream';
export * from './tensor';
export * from './unique-keys';
