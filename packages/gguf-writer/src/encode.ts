// Values to blocks, as a task: so that a worker thread can do it as well as the caller.
import { type BlockType, blockTypeOf } from '@qlora/ggml-blocks';
import { QloraError, type Task } from '@qlora/tensor';

/**
 * The blocks of some values.
 * @param start index of the first value in its tensor, for the message.
 * @param importance how much each column matters, one row long; the values are whole rows then.
 * @throws QloraError for a value that becomes infinite, or in a block would spoil its neighbours.
 */
export function encodeBlocks(
  values: Float32Array,
  type: BlockType,
  where: readonly string[],
  start = 0,
  importance?: Float32Array,
): Uint8Array {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Math.abs(value) <= type.maxMagnitude) continue;
    // Types of single values hold infinity and NaN as they are.
    if (type.blockSize === 1 && !Number.isFinite(value)) continue;
    throw new QloraError({
      what: `value ${start + i} is ${value}, ${type.name} holds magnitudes up to ${type.maxMagnitude}`,
      where,
      fix: 'write f32 or bf16',
    });
  }
  return type.encode(values, { importance });
}

/** {@link encodeBlocks}, by the name of the type. */
export const encodeTask: Task<
  {
    values: Float32Array;
    type: string;
    where: readonly string[];
    start: number;
    importance?: Float32Array | undefined;
  },
  Uint8Array
> = {
  name: 'encode-blocks',
  run: ({ values, type, where, start, importance }) =>
    encodeBlocks(values, blockTypeOf(type), where, start, importance),
};
