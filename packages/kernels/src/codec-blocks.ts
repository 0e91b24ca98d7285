// Blocks of values against a codebook of 16: absmax, codes, and values back. Whole blocks only: what a short last block
// needs is another arithmetic (it is divided by its absmax), and the caller's.
import { AT, type Codec, codec, inParts, put, WINDOW } from './codec';
import type { CodebookTables } from './codec-codebook';
import { type FloatKind, load, narrow } from './codec-half';

/** The scale of each whole block of `values`, into `scales`. False if nothing was done. */
export function absmaxBlocks(values: Float32Array, blockSize: number, scales: Float32Array): boolean {
  const kernels = usable(blockSize);
  if (!kernels) return false;
  blocksInParts(values.length, blockSize, (start, length) => {
    load(kernels, 'f32', values, start, length);
    const blocks = length / blockSize;
    kernels.absmax(AT.wide, AT.scales, blocks, blockSize);
    scales.set(floatsAt(kernels, AT.scales, blocks), start / blockSize);
  });
  return true;
}

/** Codes of each whole block of `values`, whose scales are given, into `codes`. False if nothing was done. */
export function encodeBlocks(
  values: Float32Array,
  scales: Float32Array,
  blockSize: number,
  tables: CodebookTables,
  codes: Uint8Array,
): boolean {
  const kernels = usable(blockSize);
  if (!kernels) return false;
  kernels.bytes.set(tables.bytes, AT.table);
  blocksInParts(values.length, blockSize, (start, length) => {
    load(kernels, 'f32', values, start, length);
    const first = start / blockSize;
    const blocks = length / blockSize;
    kernels.floats.set(scales.subarray(first, first + blocks), AT.scales / 4);
    kernels.absmax(AT.wide, AT.peaks, blocks, blockSize);
    encode(kernels, blocks, blockSize, AT.peaks, tables);
    put(codes, start / 2, kernels.bytes.subarray(AT.narrow, AT.narrow + length / 2));
  });
  return true;
}

/** Scales and codes of each whole block of values of the given kind, in one pass. False if nothing was done. */
export function quantizeBlocks(
  kind: FloatKind,
  values: Float32Array | Uint16Array,
  blockSize: number,
  tables: CodebookTables,
  scales: Float32Array,
  codes: Uint8Array,
): boolean {
  const kernels = usable(blockSize);
  if (!kernels) return false;
  kernels.bytes.set(tables.bytes, AT.table);
  blocksInParts(values.length, blockSize, (start, length) => {
    load(kernels, kind, values, start, length);
    const blocks = length / blockSize;
    kernels.absmax(AT.wide, AT.scales, blocks, blockSize);
    encode(kernels, blocks, blockSize, AT.scales, tables);
    scales.set(floatsAt(kernels, AT.scales, blocks), start / blockSize);
    put(codes, start / 2, kernels.bytes.subarray(AT.narrow, AT.narrow + length / 2));
  });
  return true;
}

/**
 * Each whole block of finite values less the middle of its range, into `centred`; the middles, and the largest distances from
 * them, into `middles` and `scales`. False if nothing was done.
 */
export function centreBlocks(
  values: Float32Array,
  blockSize: number,
  middles: Float32Array,
  scales: Float32Array,
  centred: Float32Array,
): boolean {
  const kernels = usable(blockSize);
  if (!kernels) return false;
  blocksInParts(values.length, blockSize, (start, length) => {
    load(kernels, 'f32', values, start, length);
    const blocks = length / blockSize;
    kernels.centre(AT.wide, AT.peaks, AT.scales, blocks, blockSize);
    middles.set(floatsAt(kernels, AT.peaks, blocks), start / blockSize);
    scales.set(floatsAt(kernels, AT.scales, blocks), start / blockSize);
    put(centred, start, floatsAt(kernels, AT.wide, length));
  });
  return true;
}

/**
 * Values of each whole block of `values.length` codes, into `values`; those of 16 bits are rounded in the window, so that no
 * copy in f32 is made. False if nothing was done.
 */
export function decodeBlocks(
  kind: FloatKind,
  codes: Uint8Array,
  scales: Float32Array,
  blockSize: number,
  codebook: Float32Array,
  values: Float32Array | Uint16Array,
): boolean {
  const kernels = usable(blockSize);
  if (!kernels || codebook.length !== 16) return false;
  putCodebook(kernels, codebook);
  blocksInParts(values.length, blockSize, (start, length) => {
    const first = start / blockSize;
    const blocks = length / blockSize;
    kernels.bytes.set(codes.subarray(start / 2, (start + length) / 2), AT.narrow);
    kernels.floats.set(scales.subarray(first, first + blocks), AT.scales / 4);
    kernels.decode(AT.narrow, AT.scales, AT.wide, blocks, blockSize, AT.table);
    // The codes have been read: their place takes the rounded values.
    put(values, start, kind === 'f32' ? floatsAt(kernels, AT.wide, length) : narrow(kernels, kind, length));
  });
  return true;
}

function usable(blockSize: number): Codec | false {
  return blockSize % 32 === 0 && blockSize > 0 && blockSize <= WINDOW && codec();
}

/** Parts of whole blocks that fit the window; a short last block is left out. */
function blocksInParts(
  count: number,
  blockSize: number,
  body: (start: number, length: number) => void,
): void {
  inParts(count - (count % blockSize), WINDOW - (WINDOW % blockSize), body);
}

function encode(
  kernels: Codec,
  blocks: number,
  blockSize: number,
  peaks: number,
  { extra, ordered }: CodebookTables,
): void {
  kernels.encode(AT.wide, AT.scales, peaks, AT.narrow, blocks, blockSize, AT.table, extra, ordered ? 1 : 0);
}

function floatsAt({ floats }: Codec, address: number, count: number): Float32Array {
  return floats.subarray(address / 4, address / 4 + count);
}

/** The codebook and the planes of its bytes, as assembly/decode.ts has them. */
function putCodebook({ bytes, floats }: Codec, codebook: Float32Array): void {
  floats.set(codebook, AT.table / 4);
  for (let code = 0; code < 16; code++)
    for (let plane = 0; plane < 4; plane++)
      bytes[AT.table + 64 + 16 * plane + code] = bytes[AT.table + 4 * code + plane]!;
}
