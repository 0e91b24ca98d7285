// The data of one tensor in a file of qlora-rs (src/quantization.rs and src/native.rs): codes, then scales and zero
// points. Each block's codes begin on a byte, and the first value is in the LOW nibble. Zero points are in units of the
// scale, and are added before it is applied: (codebook + zero point) · scale.
//
// What comes out is what the crate itself computes, its faults included, because a model was trained with that: its zero
// points move the values of a block by −min although its codes were made without moving them. One fault is not kept: in
// blocks of an odd length it begins to read each block half a byte too early.
import { simpleDoubleDequantize } from '@qlora/double-quant';
import type { QuantizedInfo, QuantizedTensor } from '@qlora/quant-strategies';
import { viewAs } from '@qlora/tensor';

/** Which parts a tensor's data has, and its size. */
interface Kind {
  readonly zeroPoints: boolean;
  readonly doubleQuant: boolean;
  readonly size: number;
}

/** A tensor's data and where it lies. */
export interface Payload extends Kind {
  readonly version: 1 | 2;
  readonly shape: readonly number[];
  readonly blockSize: number;
  readonly blocks: number;
  /** Blocks are the slices along axis 0. */
  readonly perChannel: boolean;
  readonly start: number;
}

const codeBytes = (blockSize: number, blocks: number) => blocks * Math.ceil(blockSize / 2);

/** The sizes that the data can have, each with what it means. */
export function payloadSizes(blockSize: number, blocks: number, version: 1 | 2): Kind[] {
  const nested = blocks === 0 ? 0 : blocks + 4;
  return [false, true].flatMap((zeroPoints) =>
    [false, true].map((doubleQuant) => {
      // Version 2 leaves the plain scales out where there are double-quantized ones.
      const scales = (version === 1 || !doubleQuant ? 4 * blocks : 0) + (doubleQuant ? nested : 0);
      const size = codeBytes(blockSize, blocks) + scales + (zeroPoints ? 4 * blocks : 0);
      return { zeroPoints, doubleQuant, size };
    }),
  );
}

/** The tensor that the data stands for. */
export function quantizedOf(payload: Payload, info: QuantizedInfo, data: Uint8Array): QuantizedTensor {
  const { version, blocks, blockSize, zeroPoints, doubleQuant } = payload;
  const { doubleQuant: _, ...common } = info;
  let at = 0;
  const take = (length: number) => {
    at += length;
    return data.slice(at - length, at);
  };
  const floats = (count: number) => viewAs('f32', take(4 * count));
  const codes = take(codeBytes(blockSize, blocks)).map((byte) => ((byte & 15) << 4) | (byte >> 4));
  // Version 1: scales, zero points, 8-bit scales. Version 2: scales or 8-bit scales, zero points.
  const plain = version === 1 || !doubleQuant ? floats(blocks) : undefined;
  let zeros = zeroPoints && version === 1 ? floats(blocks) : undefined;
  const restored =
    doubleQuant && blocks > 0
      ? simpleDoubleDequantize({ codes: take(blocks), factors: floats(1), blockSize: blocks })
      : undefined;
  if (zeroPoints && version === 2) zeros = floats(blocks);
  const scales = restored ?? plain ?? new Float32Array(0);
  return {
    ...common,
    codes: info.strategy === 'per-channel' ? codes : joinBlocks(codes, blockSize, blocks),
    scales: { kind: 'plain', values: scales },
    ...(zeros ? { zeroPoints: zeros.map((zero, i) => zero * (scales[i] ?? 0)) } : {}),
  };
}

/** Lets blocks of an odd length share bytes, as codes of a flattened tensor do; others do not need it. */
function joinBlocks(codes: Uint8Array, blockSize: number, blocks: number): Uint8Array {
  if (blockSize % 2 === 0) return codes;
  const joined = new Uint8Array(Math.ceil((blockSize * blocks) / 2));
  const bytes = Math.ceil(blockSize / 2);
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < blockSize; i++) {
      const byte = codes[block * bytes + (i >> 1)] ?? 0;
      const code = i & 1 ? byte & 15 : byte >> 4;
      const to = block * blockSize + i;
      joined[to >> 1] = (joined[to >> 1] ?? 0) | (to & 1 ? code : code << 4);
    }
  }
  return joined;
}
