// Made by compile.mjs of assembly/codec/index.ts: 40 bytes of WebAssembly. Do not edit.
export const codecSimd =
  'AGFzbQEAAAABBQFgAAF/AwIBAAcLAQd2ZXJzaW9uAAAKBgEEAEEBCw==';
