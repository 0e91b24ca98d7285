// A tensor that stays as it is, or changes its float type.
import {
  byteLength,
  type ConversionItem,
  type DType,
  elementCount,
  isFloat,
  readRange,
  type TensorInfo,
  type TensorSource,
} from '@qlora/tensor';
import { castTask } from './tasks';

/**
 * The tensor in another float type; tensors of integers stay what they are. A value that is not finite is refused, whether
 * it is read so or becomes so.
 * @param dtype default: the type that it has.
 */
export function copyItem(source: TensorSource, info: TensorInfo, dtype: DType = info.dtype): ConversionItem {
  const { name, shape } = info;
  const target = isFloat(info.dtype) ? dtype : info.dtype;
  const where = [source.label, name];
  return {
    name,
    outputs: [{ name, dtype: target, shape }],
    elements: elementCount(shape),
    bytes: byteLength(info.dtype, shape),
    unit: 1,
    async convert(start, count, sink, run) {
      const values = await readRange(source, name, start, count);
      await sink.writeRange(
        name,
        start,
        await run(castTask, { values, dtype: target, place: { where, start } }),
      );
    },
  };
}
