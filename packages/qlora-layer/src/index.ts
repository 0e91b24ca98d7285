// Linear layers with an adapter slot, over a frozen 4-bit weight or a dense one.
export * from './dense-linear';
export * from './linear';
export * from './qlora-config';
export * from './quantized-linear';
