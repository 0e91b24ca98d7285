// Per-channel: one scale for every index of one axis, so that a channel with large values does not coarsen the others.
// The axis is moved to the front; each channel then lies in a row of its own. Codes are packed channel by channel, and
// a channel with an odd count is padded to a whole byte, so channels never share one.
import { elementCount, QloraError, type Shape, toFloat32 } from '@qlora/tensor';
import { checkFinite, packScales, scalesOf } from './blocks';
import type { QuantizedTensor, QuantStrategy } from './contract';

// Codecs take blocks that are powers of two up to 4096, and a channel can be of any length: scale it to ±1 first and
// let the codec see blocks of scale 1.
const CODEC_BLOCK = 4096;

/** Per-channel absmax along `axis`. `blockSize` of the result is the length of a channel. */
export const perChannel: QuantStrategy = {
  name: 'per-channel',

  quantize(tensor, codec, { axis = 0, doubleQuant = true, name = 'tensor' } = {}) {
    const { channels, length, stride } = layout(tensor.shape, axis);
    const values = toFloat32(tensor);
    checkFinite(tensor, values, name);
    const bytes = channelBytes(length, codec.bitsPerValue);
    const absmax = new Float32Array(channels);
    const codes = new Uint8Array(channels * bytes);
    const ones = new Float32Array(Math.ceil(length / CODEC_BLOCK)).fill(1);
    const row = new Float32Array(length);
    for (let c = 0; c < channels; c++) {
      let max = 0;
      forEachRun(c, channels, length, stride, (start, place, count) => {
        for (let i = 0; i < count; i++) {
          const value = values[start + i]!;
          const magnitude = Math.abs(value);
          row[place + i] = value;
          if (magnitude > max) max = magnitude;
        }
      });
      absmax[c] = max;
      if (max > 0) for (let k = 0; k < length; k++) row[k] = row[k]! / max;
      codes.set(codec.encode(row, ones, CODEC_BLOCK), c * bytes);
    }
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
    const { channels, length, stride } = layout(quantized.shape, quantized.axis ?? 0);
    const bytes = channelBytes(length, codec.bitsPerValue);
    const scales = scalesOf(quantized);
    checkChannels(quantized, channels * bytes, scales.length, channels);
    const values = new Float32Array(elementCount(quantized.shape));
    const ones = new Float32Array(Math.ceil(length / CODEC_BLOCK)).fill(1);
    for (let c = 0; c < channels; c++) {
      const row = codec.decode(
        quantized.codes.subarray(c * bytes, (c + 1) * bytes),
        ones,
        CODEC_BLOCK,
        length,
      );
      const scale = scales[c]!;
      forEachRun(c, channels, length, stride, (start, place, count) => {
        for (let i = 0; i < count; i++) values[start + i] = row[place + i]! * scale;
      });
    }
    return values;
  },
};

/** Number of channels, values in each, and the distance of neighbours along the axis. */
function layout(shape: Shape, axis: number): { channels: number; length: number; stride: number } {
  const channels = shape[axis];
  if (!Number.isInteger(axis) || channels === undefined) {
    throw new QloraError({ what: `shape [${shape.join(', ')}] has no axis ${axis}`, where: 'per-channel' });
  }
  const count = elementCount(shape);
  return {
    channels,
    length: channels === 0 ? 0 : count / channels,
    stride: elementCount(shape.slice(axis + 1)),
  };
}

/** Calls `body` with the flat index of every run of neighbours of a channel, its place in the channel, and its length. */
function forEachRun(
  channel: number,
  channels: number,
  length: number,
  stride: number,
  body: (start: number, place: number, count: number) => void,
): void {
  for (let place = 0; place < length; place += stride)
    body(((place / stride) * channels + channel) * stride, place, stride);
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
