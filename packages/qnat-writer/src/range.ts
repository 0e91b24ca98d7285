// Values of a quantized tensor from anywhere in it, decoded from the sections' bytes that they need and no more: whole
// blocks where a range covers them, a part of a block at its ends. Every piece is decoded by its own strategy, as a small
// tensor, so the values are those of the whole tensor, bit for bit. `dequantizeRange` of quant-strategies is for tensors in memory;
// it decodes whole what a strategy cannot cut or would not make: blocks of any length, as qlora-rs has them, and channels that
// are no rows.
import { createDynamicMap, doubleDequantize } from '@qlora/double-quant';
import { codecOf, dequantizeTensor, type QuantizedInfo, type QuantizedTensor } from '@qlora/quant-strategies';
import { bytesOf, elementCount, viewAs } from '@qlora/tensor';
import { NESTED_BLOCK_SIZE, type Section } from './layout';

/** Bytes of a section. */
export type ReadSection = (section: Section, at: number, length: number) => Promise<Uint8Array>;

/** Channels' codes that are read at once, in bytes. */
const GROUP_BYTES = 1024 * 1024;
/** Where a channel has so many values side by side, they are read one stretch after the other. */
const LONG_STRIDE = 4096;

/** `count` values from `start` on, which must lie in the tensor. */
export async function decodeRange(
  info: QuantizedInfo,
  start: number,
  count: number,
  read: ReadSection,
): Promise<Float32Array> {
  const values = new Float32Array(count);
  if (count === 0) return values;
  if (info.strategy !== 'per-channel') await decodeBlocks(info, start, values, read);
  else if ((info.axis ?? 0) === 0) await decodeRows(info, start, values, read);
  else await decodeChannels(info, start, values, read);
  return values;
}

/** {@link ReadSection} of a tensor that is in memory. */
export function sectionsInMemory({ codes, scales, zeroPoints }: QuantizedTensor): ReadSection {
  const none = new Uint8Array(0);
  const sections: Partial<Record<Section, Uint8Array>> = {
    codes,
    scales: scales.kind === 'plain' ? bytesOf(scales.values) : none,
    scale_codes: scales.kind === 'double' ? scales.quantized.codes : none,
    nested_absmax: scales.kind === 'double' ? bytesOf(scales.quantized.nestedAbsmax) : none,
    nested_offset: scales.kind === 'double' ? bytesOf(Float32Array.of(scales.quantized.offset)) : none,
    zero_points: zeroPoints ? bytesOf(zeroPoints) : none,
  };
  return async (section, at, length) => (sections[section] ?? none).subarray(at, at + length);
}

/** Scales of blocks from `first` up to `end`. */
async function readScales(
  info: QuantizedInfo,
  first: number,
  end: number,
  read: ReadSection,
): Promise<Float32Array> {
  if (!info.doubleQuant) return viewAs('f32', await read('scales', 4 * first, 4 * (end - first)));
  const nested = Math.floor(first / NESTED_BLOCK_SIZE);
  const begin = nested * NESTED_BLOCK_SIZE;
  const nestedCount = Math.ceil(end / NESTED_BLOCK_SIZE) - nested;
  const quantized = {
    codes: await read('scale_codes', begin, end - begin),
    nestedAbsmax: viewAs('f32', await read('nested_absmax', 4 * nested, 4 * nestedCount)),
    offset: viewAs('f32', await read('nested_offset', 0, 4))[0] ?? 0,
    blockSize: NESTED_BLOCK_SIZE,
    map: createDynamicMap(),
  };
  return doubleDequantize(quantized).subarray(first - begin);
}

/** Codes of a byte each that `count` values take. */
const bytesFor = (count: number, bits: number) => Math.ceil((count * bits) / 8);

/** `blockwise` and `zero-point`: blocks of the flattened tensor. */
async function decodeBlocks(
  info: QuantizedInfo,
  start: number,
  values: Float32Array,
  read: ReadSection,
): Promise<void> {
  const { blockSize, strategy } = info;
  const bits = codecOf(info.scheme).bitsPerValue;
  // A piece begins where a block does and codes begin on a byte: at every block, or at every second, fourth or eighth.
  let step = blockSize;
  while ((step * bits) % 8 !== 0) step += blockSize;
  const end = start + values.length;
  for (let at = start; at < end; ) {
    // Into the middle of a block one can go by bytes, if the block begins on a multiple of 8 values.
    const isInside = blockSize % 8 === 0 && at % blockSize !== 0;
    const first = isInside ? at - (at % 8) : at - (at % step);
    const block = Math.floor(first / blockSize);
    const stop = isInside ? Math.min(end, (block + 1) * blockSize) : end;
    const count = stop - first;
    const blocks = isInside ? 1 : Math.ceil(count / blockSize);
    const codes = await read('codes', (first * bits) / 8, bytesFor(count, bits));
    const scales = await readScales(info, block, block + blocks, read);
    const zeroPoints =
      strategy === 'zero-point'
        ? { zeroPoints: viewAs('f32', await read('zero_points', 4 * block, 4 * blocks)) }
        : {};
    const piece = dequantizeTensor({
      ...tensorOf(info, [count], codes, scales),
      ...zeroPoints,
    });
    values.set(piece.subarray(at - first), at - start);
    at = stop;
  }
}

/** `per-channel` along the first axis: channels are rows, which lie one after the other. */
async function decodeRows(
  info: QuantizedInfo,
  start: number,
  values: Float32Array,
  read: ReadSection,
): Promise<void> {
  const bits = codecOf(info.scheme).bitsPerValue;
  const length = info.blockSize;
  const rowBytes = bytesFor(length, bits);
  const end = start + values.length;
  for (let at = start; at < end; ) {
    const row = Math.floor(at / length);
    const inRow = at - row * length;
    const whole = inRow === 0 ? Math.floor((end - at) / length) : 0;
    if (whole > 0) {
      const codes = await read('codes', row * rowBytes, whole * rowBytes);
      const scales = await readScales(info, row, row + whole, read);
      values.set(dequantizeTensor(tensorOf(info, [whole, length], codes, scales)), at - start);
      at += whole * length;
    } else {
      const from = inRow - (inRow % 8);
      const to = Math.min(length, inRow + (end - at));
      const codes = await read('codes', row * rowBytes + (from * bits) / 8, bytesFor(to - from, bits));
      const scales = await readScales(info, row, row + 1, read);
      const piece = dequantizeTensor(tensorOf(info, [1, to - from], codes, scales));
      values.set(piece.subarray(inRow - from), at - start);
      at += to - inRow;
    }
  }
}

/**
 * `per-channel` along another axis: value i = (o · channels + c) · stride + s lies in channel c at o · stride + s, so a range
 * needs a stretch of every channel, or of some neighbours.
 */
async function decodeChannels(
  info: QuantizedInfo,
  start: number,
  values: Float32Array,
  read: ReadSection,
): Promise<void> {
  const { shape, axis = 0, blockSize: length } = info;
  const bits = codecOf(info.scheme).bitsPerValue;
  const channels = shape[axis] ?? 0;
  const stride = elementCount(shape.slice(axis + 1));
  const channelBytes = bytesFor(length, bits);
  const end = start + values.length;
  const pieceOf = (count: number, codes: Uint8Array, scale: Float32Array) =>
    dequantizeTensor(tensorOf(info, [1, count], codes, scale));
  if (stride >= LONG_STRIDE) {
    for (let at = start; at < end; ) {
      const channel = Math.floor(at / stride) % channels;
      const position = Math.floor(at / stride / channels) * stride + (at % stride);
      const from = position - (position % 8);
      const to = position + Math.min(end - at, stride - (at % stride));
      const codes = await read(
        'codes',
        channel * channelBytes + (from * bits) / 8,
        bytesFor(to - from, bits),
      );
      const piece = pieceOf(to - from, codes, await readScales(info, channel, channel + 1, read));
      values.set(piece.subarray(position - from), at - start);
      at += to - position;
    }
    return;
  }
  const firstOuter = Math.floor(start / (channels * stride));
  const lastOuter = Math.floor((end - 1) / (channels * stride));
  const isOne = firstOuter === lastOuter;
  const channelAt = (i: number) => Math.floor(i / stride) % channels;
  const first = isOne ? channelAt(start) : 0;
  const stop = isOne ? channelAt(end - 1) + 1 : channels;

  const from = firstOuter * stride - ((firstOuter * stride) % 8);
  const to = (lastOuter + 1) * stride;
  const stretch = bytesFor(to - from, bits);
  const skip = (from * bits) / 8;
  const scales = await readScales(info, first, stop, read);
  // Whole channels, several at once, unless that would be to read much more than is needed.
  const group = stretch * 4 < channelBytes ? 1 : Math.max(1, Math.floor(GROUP_BYTES / channelBytes));
  for (let c = first; c < stop; c += group) {
    const some = Math.min(group, stop - c);
    const codes = await read('codes', c * channelBytes + skip, (some - 1) * channelBytes + stretch);
    for (let i = 0; i < some; i++) {
      const part = codes.subarray(i * channelBytes, i * channelBytes + stretch);
      const scale = scales.subarray(c + i - first, c + i - first + 1);
      const piece = pieceOf(to - from, part, scale);
      for (let o = firstOuter; o <= lastOuter; o++) {
        const place = (o * channels + c + i) * stride - start;
        const at = o * stride - from;
        // The ends of the range may lie inside of a stretch.
        const cut = Math.max(0, -place);
        const rest = Math.min(stride, values.length - place);
        if (rest > cut) values.set(piece.subarray(at + cut, at + rest), place + cut);
      }
    }
  }
}

/** A piece as a tensor of its own. */
function tensorOf(
  { scheme, strategy, dtype, blockSize }: QuantizedInfo,
  shape: readonly number[],
  codes: Uint8Array,
  scales: Float32Array,
): QuantizedTensor {
  return {
    ...{ scheme, strategy, shape, dtype, codes, scales: { kind: 'plain', values: scales } },
    ...(strategy === 'per-channel' ? { axis: 0, blockSize: shape[1] ?? 0 } : { blockSize }),
  };
}
