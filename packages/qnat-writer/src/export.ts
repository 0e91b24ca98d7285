// A whole model to QNAT: the loop from a source to a sink.
import { isQuantizedSource, type QuantizedInfo, type QuantizedSource } from '@qlora/quant-strategies';
import type { ByteSink, TensorInfo, TensorSource } from '@qlora/tensor';
import type { JsonObject } from './directory';
import type { QnatPlan } from './layout';
import { qnatSink } from './writer';

/** What {@link exportNative} takes besides the tensors. */
export interface NativeOptions {
  /** Free JSON for the directory. */
  readonly metadata?: JsonObject;
  /** Called after each tensor. */
  readonly onTensor?: (info: TensorInfo, index: number, total: number) => void;
}

/**
 * Writes a whole source as QNAT: its quantized tensors in 4 bits, the others as they are. One tensor is in memory at a
 * time; on an error nothing is left under the final name.
 *
 * @throws QloraError as the source and {@link qnatSink} do.
 * @example
 * const source = quantizingSource(checkpoint, names, { scheme: 'nf4' });
 * await exportNative(source, await fileSink('model.qnat'), { metadata: { config } });
 */
export async function exportNative(
  source: TensorSource | QuantizedSource,
  bytes: ByteSink,
  options: NativeOptions = {},
): Promise<void> {
  const quantized: ReadonlyMap<string, QuantizedInfo> = isQuantizedSource(source)
    ? source.quantized
    : new Map();
  const plans = source.tensors.map((info): QnatPlan => {
    const found = quantized.get(info.name);
    return found ? { ...info, quantized: found } : info;
  });
  try {
    const sink = await qnatSink(bytes, plans, options.metadata);
    for (const [index, info] of source.tensors.entries()) {
      const read =
        isQuantizedSource(source) && quantized.has(info.name)
          ? source.readQuantized(info.name)
          : source.read(info.name);
      await sink.write(info.name, await read);
      options.onTensor?.(info, index, plans.length);
    }
    await sink.finish();
  } catch (error) {
    await bytes.abort();
    throw error;
  }
}
