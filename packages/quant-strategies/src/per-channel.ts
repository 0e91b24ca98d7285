// Per-channel: one scale for every index of one axis, so that a channel with large values does not coarsen the others.
// Codes are packed channel by channel, as if the axis were moved to the front, and a channel with an odd count is padded to
// a whole byte, so channels never share one.
//
// The channels are worked on in groups that fit the processor's cache: gathered from where they lie, scaled, and encoded in
// one call. Channels of the first axis lie in rows and need no gathering.
import { absmaxBlocks } from '@qlora/kernels';
import { elementCount, QloraError, type Shape } from '@qlora/tensor';
import { finiteValues, packScales, scalesOf } from './blocks';
import type { Codec, QuantizedTensor, QuantStrategy } from './contract';

// Codecs take blocks that are powers of two up to 4096, and a channel can be of any length: scale it to ±1 first and
// let the codec see blocks of scale 1.
const CODEC_BLOCK = 4096;

// Values of a group of channels.
const GROUP = 16384;

// Channels that lie side by side are read this many at a time, at least: the processor fetches neighbours anyway.
const SIDE_BY_SIDE = 32;

/** Per-channel absmax along `axis`. `blockSize` of the result is the length of a channel. */
export const perChannel: QuantStrategy = {
  name: 'per-channel',

  quantize(tensor, codec, { axis = 0, doubleQuant = true, name = 'tensor', start } = {}) {
    const layout = layoutOf(tensor.shape, axis);
    const { channels, length } = layout;
    const values = finiteValues(tensor, name, start);
    const absmax = channelPeaks(values, layout);
    const bytes = channelBytes(length, codec.bitsPerValue);
    const codes = new Uint8Array(channels * bytes);
    const scaled = new Float32Array(groupSize(layout) * length);
    forEachGroup(layout, (first, count) => {
      gather(values, layout, first, count, absmax, scaled);
      codes.set(encodeChannels(codec, scaled, count, length), first * bytes);
    });
    return {
      scheme: codec.name,
      strategy: 'per-channel',
      shape: tensor.shape,
      dtype: tensor.dtype,
      blockSize: length,
      axis,
      codes,
      scales: packScales(absmax, doubleQuant),
    };
  },

  dequantize(quantized, codec) {
    const layout = layoutOf(quantized.shape, quantized.axis ?? 0);
    const { channels, length, outer } = layout;
    const bytes = channelBytes(length, codec.bitsPerValue);
    const scales = scalesOf(quantized);
    checkChannels(quantized, channels * bytes, scales.length, channels);
    if (outer === 1) return decodeChannels(codec, quantized.codes, scales, length);
    const values = new Float32Array(elementCount(quantized.shape));
    forEachGroup(layout, (first, count) => {
      const end = first + count;
      const group = quantized.codes.subarray(first * bytes, end * bytes);
      scatter(
        decodeChannels(codec, group, scales.subarray(first, end), length),
        layout,
        first,
        count,
        values,
      );
    });
    return values;
  },

  /** A row of the first axis. */
  unit(shape, { axis = 0 } = {}) {
    const { length } = layoutOf(shape, axis);
    return axis === 0 && length > 0 ? length : undefined;
  },
};

/** Where channels lie: channel c is, for each o below `outer`, the `stride` values from (o · channels + c) · stride on. */
interface Layout {
  readonly channels: number;
  readonly outer: number;
  readonly stride: number;
  /** Values in a channel. */
  readonly length: number;
}

function layoutOf(shape: Shape, axis: number): Layout {
  const channels = shape[axis];
  if (!Number.isInteger(axis) || channels === undefined) {
    throw new QloraError({ what: `shape [${shape.join(', ')}] has no axis ${axis}`, where: 'per-channel' });
  }
  const outer = elementCount(shape.slice(0, axis));
  const stride = elementCount(shape.slice(axis + 1));
  return { channels, outer, stride, length: channels === 0 ? 0 : outer * stride };
}

/** Largest magnitude of each channel. */
function channelPeaks(values: Float32Array, { channels, outer, stride }: Layout): Float32Array {
  const peaks = new Float32Array(channels);
  const block = blockOf(stride);
  const blocks = new Float32Array(block === undefined ? 0 : values.length / block);
  if (block !== undefined && absmaxBlocks(values, block, blocks))
    return raisePeaks(peaks, blocks, outer, stride / block);
  return raisePeaks(peaks, values, outer, stride);
}

function raisePeaks(peaks: Float32Array, values: Float32Array, outer: number, stride: number): Float32Array {
  for (let o = 0, i = 0; o < outer; o++) {
    for (let c = 0; c < peaks.length; c++) {
      let peak = peaks[c]!;
      for (const end = i + stride; i < end; i++) {
        const magnitude = Math.abs(values[i]!);
        if (magnitude > peak) peak = magnitude;
      }
      peaks[c] = peak;
    }
  }
  return peaks;
}

function groupSize({ channels, length, stride }: Layout): number {
  const least = stride < SIDE_BY_SIDE ? SIDE_BY_SIDE : 1;
  return Math.min(channels, Math.max(least, Math.floor(GROUP / Math.max(length, 1))));
}

/** Calls `body` with the first channel and the number of channels of each group. */
function forEachGroup(layout: Layout, body: (first: number, count: number) => void): void {
  const size = groupSize(layout);
  for (let first = 0; first < layout.channels; first += size)
    body(first, Math.min(size, layout.channels - first));
}

/** Channels in rows, each divided by its peak. */
function gather(
  values: Float32Array,
  { channels, outer, stride, length }: Layout,
  first: number,
  count: number,
  peaks: Float32Array,
  scaled: Float32Array,
): void {
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < count; c++) {
      const peak = peaks[first + c]! || 1;
      const from = (o * channels + first + c) * stride;
      const to = c * length + o * stride;
      for (let i = 0; i < stride; i++) scaled[to + i] = values[from + i]! / peak;
    }
  }
}

/** The way back, without the division. */
function scatter(
  rows: Float32Array,
  { channels, outer, stride, length }: Layout,
  first: number,
  count: number,
  values: Float32Array,
): void {
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < count; c++) {
      const from = c * length + o * stride;
      const to = (o * channels + first + c) * stride;
      for (let i = 0; i < stride; i++) values[to + i] = rows[from + i]!;
    }
  }
}

/** Codes of channels of values in [-1, 1], each channel on whole bytes. */
function encodeChannels(codec: Codec, scaled: Float32Array, count: number, length: number): Uint8Array {
  const encode = (values: Float32Array) =>
    codec.encode(values, new Float32Array(Math.ceil(values.length / CODEC_BLOCK)).fill(1), CODEC_BLOCK);
  if ((length * codec.bitsPerValue) % 8 === 0) return encode(scaled.subarray(0, count * length));
  const bytes = channelBytes(length, codec.bitsPerValue);
  const codes = new Uint8Array(count * bytes);
  for (let c = 0; c < count; c++) codes.set(encode(scaled.subarray(c * length, (c + 1) * length)), c * bytes);
  return codes;
}

/** Values of channels, one after the other. */
function decodeChannels(codec: Codec, codes: Uint8Array, scales: Float32Array, length: number): Float32Array {
  const count = scales.length;
  const block = blockOf(length);
  if (block !== undefined) {
    const repeats = length / block;
    const repeated = new Float32Array(count * repeats);
    for (let c = 0; c < count; c++) repeated.fill(scales[c]!, c * repeats, (c + 1) * repeats);
    return codec.decode(codes, repeated, block, count * length);
  }
  const bytes = channelBytes(length, codec.bitsPerValue);
  const values = new Float32Array(count * length);
  const repeated = new Float32Array(Math.ceil(length / CODEC_BLOCK));
  for (let c = 0; c < count; c++) {
    repeated.fill(scales[c]!);
    const channel = codes.subarray(c * bytes, (c + 1) * bytes);
    values.set(codec.decode(channel, repeated, CODEC_BLOCK, length), c * length);
  }
  return values;
}

/** The largest size of blocks that codecs take and that divides a length, if there is one. */
function blockOf(length: number): number | undefined {
  for (let block = CODEC_BLOCK; block >= 32; block /= 2) if (length > 0 && length % block === 0) return block;
  return undefined;
}

function channelBytes(length: number, bits: number): number {
  return Math.ceil((length * bits) / 8);
}

function checkChannels(quantized: QuantizedTensor, bytes: number, scales: number, channels: number): void {
  if (quantized.codes.length === bytes && scales === channels) return;
  throw new QloraError({
    what: `${quantized.codes.length} bytes of codes and ${scales} scales`,
    where: `per-channel tensor of shape [${quantized.shape.join(', ')}]`,
    fix: `${bytes} and ${channels} are needed`,
  });
}
