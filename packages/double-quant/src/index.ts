// Double quantization: 8-bit scales for the scales of a quantized tensor, as bitsandbytes has it and as qlora-rs has it.
export * from './contract';
export * from './double-quant';
export * from './dynamic-map';
export * from './simple';
