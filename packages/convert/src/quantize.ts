// A weight in 4 bits, as bitsandbytes stores it: codes as the ranges come, its scales, which are quantized all together, at
// the end. Beside the ranges, one f32 a block is in memory.
import { doubleQuantize } from '@qlora/double-quant';
import type { QuantizationConfig, Scales } from '@qlora/quant-strategies';
import { bitsandbytesInfos, bitsandbytesScaleTensors, stateName } from '@qlora/safetensors';
import {
  byteLength,
  type ConversionItem,
  elementCount,
  readRange,
  type TensorInfo,
  type TensorSource,
  tensor,
} from '@qlora/tensor';
import { quantizeTask } from './tasks';

/** What of a configuration bitsandbytes' format can hold: blockwise, and no other strategy. */
export type BlockwiseConfig = Omit<QuantizationConfig, 'strategy'>;

/**
 * The weight's codes, scales and state.
 * @param info the tensor to read; f32, f16 or bf16 of any shape.
 */
export function quantizeItem(
  source: TensorSource,
  info: TensorInfo,
  { scheme, blockSize, doubleQuant }: BlockwiseConfig,
): ConversionItem {
  const { name, shape, dtype } = info;
  const elements = elementCount(shape);
  const where = [source.label, name];
  const quantized = { scheme, strategy: 'blockwise', blockSize, doubleQuant, shape, dtype };
  let absmax: Float32Array | undefined;
  return {
    name,
    outputs: bitsandbytesInfos(name, quantized),
    late: [stateName(name, scheme)],
    elements,
    bytes: byteLength(dtype, shape),
    unit: blockSize,
    async convert(start, count, sink, run) {
      const values = await readRange(source, name, start, count);
      const part = await run(quantizeTask, { values, scheme, blockSize, place: { where, start } });
      absmax ??= new Float32Array(Math.ceil(elements / blockSize));
      absmax.set(part.absmax, start / blockSize);
      await sink.writeRange(name, start / 2, tensor('u8', [part.codes.length], part.codes));
    },
    async finish(sink) {
      const values = absmax ?? new Float32Array(0);
      absmax = undefined;
      const scales: Scales = doubleQuant
        ? { kind: 'double', quantized: doubleQuantize(values) }
        : { kind: 'plain', values };
      for (const [part, tensor] of bitsandbytesScaleTensors(name, quantized, scales))
        await sink.write(part, tensor);
    },
  };
}
