// What all strategies share: scales in either form, and checks of what comes in.
import { doubleDequantize, doubleQuantize } from '@qlora/double-quant';
import { firstNonFinite, isFloat, QloraError, type Tensor } from '@qlora/tensor';
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

/** Throws unless the tensor holds real numbers, all of them finite: a NaN would spread over its block unseen. */
export function checkFinite(tensor: Tensor, values: Float32Array, where: string): void {
  if (!isFloat(tensor.dtype)) {
    throw new QloraError({ what: `is ${tensor.dtype}`, where, fix: 'only float tensors can be quantized' });
  }
  const index = firstNonFinite({ dtype: 'f32', shape: [values.length], data: values });
  if (index >= 0) {
    throw new QloraError({
      what: `value ${index} is ${values[index]}`,
      where,
      fix: 'the checkpoint is damaged: fetch it again',
    });
  }
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
