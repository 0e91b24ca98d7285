// Sources of which some tensors are in 4 bits. Checkpoint formats offer their quantized tensors this way, and
// `quantizingSource` makes one of any dense source, one tensor at a time.
import {
  checkElements,
  type DType,
  findTensor,
  flatRange,
  QloraError,
  readRange,
  type Shape,
  type TensorSource,
} from '@qlora/tensor';
import type { QuantizedTensor } from './contract';
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

/**
 * A source that quantizes some tensors of another one as they are read. Of a source that can be read in parts, a few parts
 * are in memory at a time.
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
    ...(source.readRange
      ? {
          // Of a tensor that is quantized, the scales depend on all of it.
          readRange: async (name: string, start: number, count: number) => {
            if (!quantized.has(name)) return readRange(source, name, start, count);
            checkElements(findTensor(result, name), start, count, source.label);
            return flatRange(await result.read(name), start, count);
          },
        }
      : {}),
    close: () => source.close(),
  };
  return result;
}
