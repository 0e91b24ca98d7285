// Q8_0 of ggml: 32 values in 34 bytes.
import { AT, codec, inParts, put, WINDOW } from './codec';

const VALUES = 32;
const BYTES = 34;
const BLOCKS = WINDOW / VALUES;

/** The blocks of `values`, whose length is a multiple of 32, into `bytes`. False if nothing was done. */
export function encodeQ8Blocks(values: Float32Array, bytes: Uint8Array): boolean {
  const kernels = codec();
  if (!kernels) return false;
  inParts(values.length / VALUES, BLOCKS, (first, blocks) => {
    kernels.floats.set(values.subarray(first * VALUES, (first + blocks) * VALUES), AT.wide / 4);
    kernels.encodeQ8(AT.wide, AT.narrow, blocks, AT.scales, AT.peaks);
    put(bytes, first * BYTES, kernels.bytes.subarray(AT.narrow, AT.narrow + blocks * BYTES));
  });
  return true;
}

/** The values of `bytes`, whose length is a multiple of 34, into `values`. False if nothing was done. */
export function decodeQ8Blocks(bytes: Uint8Array, values: Float32Array): boolean {
  const kernels = codec();
  if (!kernels) return false;
  inParts(bytes.length / BYTES, BLOCKS, (first, blocks) => {
    kernels.bytes.set(bytes.subarray(first * BYTES, (first + blocks) * BYTES), AT.narrow);
    kernels.decodeQ8(AT.narrow, AT.wide, blocks, AT.scales, AT.peaks);
    put(values, first * VALUES, kernels.floats.subarray(AT.wide / 4, AT.wide / 4 + blocks * VALUES));
  });
  return true;
}
