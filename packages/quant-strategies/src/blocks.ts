// What all strategies share: scales in either form, and checks of what comes in.
import { doubleDequantize, doubleQuantize } from '@qlora/double-quant';
import { firstNonFinite, isFloat, QloraError, type Tensor, toFloat32 } from '@qlora/tensor';
import type { Codec, QuantizedTensor, Scales } from './contract';

/** Scales as asked for: as they are, or quantized themselves. */
export function packScales(values: Float32Array, doubleQuant: boolean): Scales {
  return doubleQuant ? { kind: 'double', quantized: doubleQuantize(values) } : { kind: 'plain', values };
}

/** The scales of a quantized tensor in f32, double quantization undone. */
export function scalesOf(quantized: Pick<QuantizedTensor, 'scales'>): Float32Array {
  const { scales } = quantized;
  return scales.kind === 'plain' ? scales.values : doubleDequantize(scales.quantized);
}

/**
 * Throws unless the tensor holds real numbers, all of them finite: a NaN would spread over its block unseen.
 * @param values the tensor's values in f32. @param where its name, for the message.
 * @param start index of the first value, where the tensor is a part of a larger one.
 */
export function checkFinite(tensor: Tensor, values: Float32Array, where: string, start = 0): void {
  if (!isFloat(tensor.dtype)) {
    throw new QloraError({ what: `is ${tensor.dtype}`, where, fix: 'only float tensors can be quantized' });
  }
  const index = firstNonFinite({ dtype: 'f32', shape: [values.length], data: values });
  if (index >= 0) {
    throw new QloraError({
      what: `value ${start + index} is ${values[index]}`,
      where,
      fix: 'the checkpoint is damaged: fetch it again',
    });
  }
}

/**
 * The values of a tensor in f32, a view if they are f32: what a strategy begins with.
 * @param where the tensor's name, for messages. @param start index of the first value, if the tensor is a part.
 * @throws QloraError for tensors of integers, and for values that are not finite, as {@link checkFinite}.
 */
export function finiteValues(tensor: Tensor, where: string, start = 0): Float32Array {
  const values = isFloat(tensor.dtype) ? toFloat32(tensor) : new Float32Array();
  checkFinite(tensor, values, where, start);
  return values;
}

/** The unit of strategies whose blocks run over the flattened tensor: whole blocks, and whole bytes of any codes. */
export function blockUnit(blockSize: number): number {
  let unit = blockSize;
  while (unit % 8 !== 0) unit += blockSize;
  return unit;
}

/** Throws unless the packed sizes are those that the codec needs for `count` values in blocks. */
export function checkSizes(quantized: QuantizedTensor, codec: Codec, count: number, blocks: number): void {
  const bytes = Math.ceil((count * codec.bitsPerValue) / 8);
  const scales =
    quantized.scales.kind === 'plain' ? quantized.scales.values : quantized.scales.quantized.codes;
  if (quantized.codes.length === bytes && scales.length === blocks) return;
  throw new QloraError({
    what: `${quantized.codes.length} bytes of codes and ${scales.length} scales`,
    where: `${quantized.scheme} tensor of shape [${quantized.shape.join(', ')}]`,
    fix: `${bytes} and ${blocks} are needed`,
  });
}
