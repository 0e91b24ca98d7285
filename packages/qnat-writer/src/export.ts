// A whole model to QNAT: from a source to a sink, range by range.
import { isQuantizedSource, type QuantizedInfo, type QuantizedSource } from '@qlora/quant-strategies';
import { type ByteSink, type RunTask, runItems, type TensorInfo, type TensorSource } from '@qlora/tensor';
import type { JsonObject } from './directory';
import { type ExportItem, exportItem } from './items';
import type { QnatPlan } from './layout';
import { qnatSink } from './writer';

/** What {@link exportNative} takes besides the tensors. */
export interface NativeOptions {
  /** Free JSON for the directory. */
  readonly metadata?: JsonObject;
  /** How values are quantized: here, or on other threads. Default: here. */
  readonly run?: RunTask | undefined;
  /** Ranges of values that are in memory at a time. Default 3. */
  readonly slots?: number | undefined;
  /** Called after each tensor; `index` is the number of tensors that were complete before. */
  readonly onTensor?: (info: TensorInfo, index: number, total: number) => void;
  /** Called as the work goes on: bytes that were read, and tensors that are complete. */
  readonly onProgress?: (progress: NativeProgress) => void;
}

/** How far an export is. */
export interface NativeProgress {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly tensors: number;
  readonly totalTensors: number;
}

/**
 * Writes a whole source as QNAT: its quantized tensors in 4 bits, the others as they are. On an error nothing is left under
 * the final name.
 *
 * Some millions of values are in memory at a time, whatever the size of the tensors, if the source can be read in ranges:
 * dense tensors, and those that `quantizingSource` quantizes, of which one f32 a block is kept besides with double
 * quantization. Tensors that a source holds in 4 bits already are read whole, one at a time, in 4 bits.
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
  const { metadata, run, slots, onTensor, onProgress } = options;
  const quantized: ReadonlyMap<string, QuantizedInfo> = isQuantizedSource(source)
    ? source.quantized
    : new Map();
  const plans = source.tensors.map((info): QnatPlan => {
    const found = quantized.get(info.name);
    return found ? { ...info, quantized: found } : info;
  });
  try {
    const sink = await qnatSink(bytes, plans, metadata);
    let complete = 0;
    const items = plans.map((plan, i): ExportItem => {
      const item = exportItem(source, plan);
      return {
        ...item,
        async finish(to) {
          await item.finish?.(to);
          onTensor?.(source.tensors[i] as TensorInfo, complete++, plans.length);
        },
      };
    });
    const totalBytes = items.reduce((sum, item) => sum + item.bytes, 0);
    await runItems(items, {
      ...{ sink, run, slots },
      onProgress: ({ bytes: done, items: tensors }) =>
        onProgress?.({ bytes: done, totalBytes, tensors, totalTensors: items.length }),
    });
    await sink.finish();
  } catch (error) {
    await bytes.abort();
    throw error;
  }
}
