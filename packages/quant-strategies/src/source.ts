// Sources of which some tensors are in 4 bits. Checkpoint formats offer their quantized tensors this way, and
// `quantizingSource` makes one of any dense source, one tensor at a time.
import {
  checkElements,
  type DType,
  elementCount,
  QloraError,
  readRange,
  type Shape,
  type TensorSource,
  tensor,
} from '@qlora/tensor';
import { scalesOf } from './blocks';
import type { QuantizedTensor } from './contract';
import { dequantizeRange } from './decoded-parts';
import { type InPartsOptions, quantizeInParts } from './parts';
import { dequantizeToTensor, type QuantizationConfig, quantizationConfig, quantizeTensor } from './quantize';

/** What is known of a quantized tensor before it is read. */
export interface QuantizedInfo {
  readonly scheme: string;
  readonly strategy: string;
  readonly blockSize: number;
  readonly axis?: number;
  readonly doubleQuant: boolean;
  /** Shape of the tensor that was quantized. */
  readonly shape: Shape;
  /** Type of the tensor that was quantized. */
  readonly dtype: DType;
}

/**
 * A source in which some tensors are quantized. Seen as a plain `TensorSource` it is dense: `tensors` lists those as
 * f32, and `read` decodes them.
 */
export interface QuantizedSource extends TensorSource {
  /** The quantized tensors by name. */
  readonly quantized: ReadonlyMap<string, QuantizedInfo>;
  /** @throws QloraError if that tensor is not quantized. */
  readQuantized(name: string): Promise<QuantizedTensor>;
  /**
   * The dense source that the quantized tensors are made from as they are read, and how. Who writes tensors part by part
   * quantizes these values itself (`encodePart`) instead of having a whole tensor made. Left out by sources that hold
   * tensors in 4 bits.
   */
  readonly origin?: { readonly source: TensorSource; readonly config: QuantizationConfig };
}

/** True for a source that has quantized tensors to offer. */
export function isQuantizedSource(source: TensorSource): source is QuantizedSource {
  return 'readQuantized' in source;
}

// Tensors whose ranges are being read are few; more than these are of a reader that never reads one to its end.
const MAX_KEPT = 16;

/**
 * A source that quantizes some tensors of another one as they are read. Of a source that can be read in parts, a few parts
 * are in memory at a time. Reading such a tensor in ranges quantizes it once, and keeps its codes until as many values as
 * it has were read.
 *
 * @param names which tensors to quantize; each must be there.
 * @param how where parts are quantized, and how many at a time. Default: here, one.
 */
export function quantizingSource(
  source: TensorSource,
  names: Iterable<string>,
  options: Partial<QuantizationConfig> = {},
  how: Pick<InPartsOptions, 'encode' | 'concurrency'> = {},
): QuantizedSource {
  const { scheme, strategy, blockSize, doubleQuant } = quantizationConfig(options);
  const infos = new Map(source.tensors.map((info) => [info.name, info]));
  const quantized = new Map<string, QuantizedInfo>();
  for (const name of names) {
    const info = infos.get(name);
    if (!info) throw new QloraError({ what: `no tensor named "${name}" to quantize`, where: source.label });
    const axis = strategy === 'per-channel' ? { axis: 0 } : {};
    quantized.set(name, {
      scheme,
      strategy,
      blockSize,
      doubleQuant,
      shape: info.shape,
      dtype: info.dtype,
      ...axis,
    });
  }
  const kept = new Map<string, { readonly quantized: Promise<QuantizedTensor>; left: number }>();
  /** A tensor of which `count` values are read, its scales decoded once. */
  const keep = (name: string, shape: Shape, count: number): Promise<QuantizedTensor> => {
    const decoded = async () => {
      const given = await result.readQuantized(name);
      return { ...given, scales: { kind: 'plain' as const, values: scalesOf(given) } };
    };
    const entry = kept.get(name) ?? { quantized: decoded(), left: elementCount(shape) };
    kept.delete(name);
    entry.left -= count;
    if (entry.left > 0) kept.set(name, entry);
    const [oldest] = kept.keys();
    if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    // What failed once is tried again.
    entry.quantized.catch(() => kept.delete(name));
    return entry.quantized;
  };
  const result: QuantizedSource = {
    label: source.label,
    metadata: source.metadata,
    tensors: source.tensors.map((info) => (quantized.has(info.name) ? { ...info, dtype: 'f32' } : info)),
    quantized,
    origin: { source, config: { scheme, strategy, blockSize, doubleQuant } },
    async readQuantized(name) {
      const info = infos.get(name);
      if (!info || !quantized.has(name))
        throw new QloraError({ what: `tensor "${name}" is not quantized`, where: source.label });
      const config = { scheme, strategy, blockSize, doubleQuant, name: `${source.label}: ${name}` };
      if (!source.readRange) return quantizeTensor(await source.read(name), config);
      const read = (start: number, count: number) => readRange(source, name, start, count);
      return quantizeInParts({ shape: info.shape, dtype: info.dtype, read }, { ...config, ...how });
    },
    async read(name) {
      return quantized.has(name)
        ? dequantizeToTensor(await result.readQuantized(name), 'f32')
        : source.read(name);
    },
    async readRange(name, start, count) {
      const info = quantized.get(name);
      if (!info) return readRange(source, name, start, count);
      checkElements({ name, dtype: 'f32', shape: info.shape }, start, count, source.label);
      return tensor('f32', [count], dequantizeRange(await keep(name, info.shape, count), start, count));
    },
    close: () => source.close(),
  };
  return result;
}
