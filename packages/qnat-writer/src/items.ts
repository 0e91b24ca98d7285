// What becomes of each tensor of a source on its way into a QNAT file, as items that are converted range by range.
import {
  codecOf,
  encodePartTask,
  isQuantizedSource,
  packScales,
  partShape,
  type QuantizationConfig,
  type QuantizedInfo,
  type QuantizedSource,
  strategyOf,
} from '@qlora/quant-strategies';
import {
  byteLength,
  bytesOf,
  type ConversionItem,
  elementCount,
  readRange,
  type TensorInfo,
  type TensorSource,
} from '@qlora/tensor';
import { blockCount, type QnatPlan, sectionOffsets, sectionSizes } from './layout';
import type { QnatSink } from './writer';

/** A tensor's way into the file. */
export type ExportItem = ConversionItem<QnatSink>;

/** The item of a tensor: copied, quantized on the way, or taken as it is in 4 bits. */
export function exportItem(source: TensorSource | QuantizedSource, plan: QnatPlan): ExportItem {
  const { name, quantized } = plan;
  if (!quantized || !isQuantizedSource(source)) return denseItem(source, plan);
  const { origin } = source;
  const info = origin?.source.tensors.find((candidate) => candidate.name === name);
  return (
    (origin && info && quantizingItem(origin.source, info, quantized, origin.config)) ??
    packedItem(source, plan, quantized)
  );
}

function denseItem(source: TensorSource, { name, dtype, shape }: TensorInfo): ExportItem {
  const elements = elementCount(shape);
  // What cannot be read in parts is read once. A source over another may offer parts that the other has not.
  const origin = isQuantizedSource(source) ? source.origin?.source : undefined;
  const hasParts = source.readRange && (!origin || origin.readRange);
  return {
    ...{ name, elements, outputs: [{ name, dtype, shape }], bytes: byteLength(dtype, shape) },
    unit: hasParts ? 1 : Math.max(1, elements),
    async convert(start, count, sink) {
      await sink.writeRange(name, start, await readRange(source, name, start, count));
    },
  };
}

/** Undefined for a tensor that its strategy cannot cut. */
function quantizingItem(
  source: TensorSource,
  info: TensorInfo,
  quantized: QuantizedInfo,
  { scheme, strategy, blockSize, doubleQuant }: QuantizationConfig,
): ExportItem | undefined {
  const { name, dtype, shape } = info;
  const { axis } = quantized;
  const axisOption = axis === undefined ? {} : { axis };
  const unit = strategyOf(strategy).unit?.(shape, { blockSize, ...axisOption });
  if (unit === undefined || !source.readRange) return undefined;
  const elements = elementCount(shape);
  const bits = codecOf(scheme).bitsPerValue;
  // Of per-channel a row is a block, and begins on a byte of its own.
  const length = strategy === 'per-channel' ? unit : blockSize;
  const codesBefore = (start: number) =>
    strategy === 'per-channel' ? (start / unit) * Math.ceil((unit * bits) / 8) : (start * bits) / 8;
  let scales: Float32Array | undefined;
  return {
    ...{ name, elements, unit, outputs: [info], bytes: byteLength(dtype, shape) },
    async convert(start, count, sink, run) {
      const { data } = await readRange(source, name, start, count);
      const part = { dtype, shape: partShape(shape, count), data };
      const where = `${source.label}: ${name}`;
      const config = { scheme, strategy, blockSize, doubleQuant: false, name: where, start, ...axisOption };
      const encoded = await run(encodePartTask, { part, options: config });
      const block = start / length;
      await sink.writeSection(name, 'codes', codesBefore(start), encoded.codes);
      if (encoded.zeroPoints)
        await sink.writeSection(name, 'zero_points', 4 * block, bytesOf(encoded.zeroPoints));
      if (doubleQuant) {
        scales ??= new Float32Array(blockCount(quantized));
        scales.set(encoded.scales, block);
      } else await sink.writeSection(name, 'scales', 4 * block, bytesOf(encoded.scales));
    },
    async finish(sink) {
      if (!doubleQuant) return;
      const packed = packScales(scales ?? new Float32Array(0), true);
      scales = undefined;
      if (packed.kind !== 'double') return;
      const { codes, nestedAbsmax, offset } = packed.quantized;
      await sink.writeSection(name, 'scale_codes', 0, codes);
      await sink.writeSection(name, 'nested_absmax', 0, bytesOf(nestedAbsmax));
      await sink.writeSection(name, 'nested_offset', 0, bytesOf(Float32Array.of(offset)));
    },
  };
}

// Tensors in 4 bits are read one after the other, each whole, however many ranges are in flight.
const queues = new WeakMap<QuantizedSource, Promise<unknown>>();

function packedItem(source: QuantizedSource, plan: QnatPlan, quantized: QuantizedInfo): ExportItem {
  const { name, shape } = plan;
  const elements = elementCount(shape);
  return {
    ...{ name, elements, unit: Math.max(1, elements), outputs: [{ name, dtype: quantized.dtype, shape }] },
    bytes: sectionOffsets(sectionSizes(plan)).size,
    async convert(_start, _count, sink) {
      const before = queues.get(source) ?? Promise.resolve();
      const work = before.then(async () => sink.write(name, await source.readQuantized(name)));
      queues.set(
        source,
        work.catch(() => {}),
      );
      await work;
    },
  };
}
