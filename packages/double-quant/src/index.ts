// Double quantization: 8-bit scales for the scales of a quantized tensor.
export * from './contract';
export * from './double-quant';
export * from './dynamic-map';
