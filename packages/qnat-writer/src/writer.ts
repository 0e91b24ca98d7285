// Writing QNAT version 2.
import {
  isQuantizedSource,
  type QuantizedInfo,
  type QuantizedSource,
  type QuantizedTensor,
} from '@qlora/quant-strategies';
import {
  type ByteSink,
  bytesOf,
  QloraError,
  type Tensor,
  type TensorInfo,
  type TensorSource,
} from '@qlora/tensor';
import CRC32 from 'crc-32';
import {
  ALIGNMENT,
  align,
  FLAGS,
  HEADER_BYTES,
  NESTED_BLOCK_SIZE,
  QNAT_MAGIC,
  QNAT_VERSION,
  type QnatPlan,
  type Section,
  sectionOffsets,
  sectionSizes,
} from './layout';

/** Anything that JSON can hold. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A QNAT file that is being written. */
export interface QnatSink {
  /** Writes a tensor that was announced, dense or quantized as announced, in any order. */
  write(name: string, tensor: Tensor | QuantizedTensor): Promise<void>;
  /** Completes the file. @throws QloraError if an announced tensor was not written. */
  finish(): Promise<void>;
  /** Drops what was written. Harmless after `finish`. */
  abort(): Promise<void>;
}

const isQuantized = (tensor: Tensor | QuantizedTensor): tensor is QuantizedTensor => 'codes' in tensor;

/**
 * Opens a QNAT file for the given tensors.
 *
 * @param metadata free JSON; `config`, `tokenizer` and `tokenizer_config` hold a model's files, see SPEC.md.
 * @throws QloraError for two tensors of one name.
 */
export async function qnatSink(
  bytes: ByteSink,
  plans: readonly QnatPlan[],
  metadata: JsonObject = {},
): Promise<QnatSink> {
  const layouts = new Map(
    plans.map((plan) => {
      const sizes = sectionSizes(plan);
      return [plan.name, { plan, sizes, ...sectionOffsets(sizes) }] as const;
    }),
  );
  if (layouts.size !== plans.length)
    throw new QloraError({ what: 'two tensors have the same name', where: bytes.label });
  const starts = new Map<string, number>();
  let dataSize = 0;
  for (const [name, { size }] of layouts) {
    starts.set(name, dataSize);
    dataSize += size;
  }
  const checksums = new Map<string, number>();
  const directory = () => {
    const tensors = [...layouts].map(([name, { plan, sizes, offsets, size }]) =>
      describe(plan, starts.get(name) ?? 0, size, sizes, offsets, checksums.get(name) ?? 0),
    );
    return new TextEncoder().encode(JSON.stringify({ metadata, tensors }));
  };
  const directorySize = directory().length;
  const dataStart = align(HEADER_BYTES + directorySize);

  return {
    async write(name, tensor) {
      const layout = layouts.get(name);
      if (!layout || checksums.has(name)) {
        throw new QloraError({
          what: layout ? 'is written twice' : 'was not announced',
          where: [bytes.label, name],
        });
      }
      const sections = sectionsOf(tensor);
      checkAnnounced(bytes.label, layout.plan, tensor, sections, layout.sizes);
      const block = new Uint8Array(layout.size);
      for (const [section, content] of sections) block.set(content, layout.offsets.get(section) ?? 0);
      checksums.set(name, CRC32.buf(block) >>> 0);
      await bytes.write(dataStart + (starts.get(name) ?? 0), block);
    },
    async finish() {
      const missing = [...layouts.keys()].filter((name) => !checksums.has(name));
      if (missing.length > 0) {
        throw new QloraError({
          what: `${missing.length} announced tensors were not written: ${missing[0]}, …`,
          where: bytes.label,
        });
      }
      const json = directory();
      const head = new Uint8Array(dataStart);
      head.set(json, HEADER_BYTES);
      writeHeader(new DataView(head.buffer), json, dataStart, dataSize, plans);
      await bytes.write(0, head);
      await bytes.finish();
    },
    abort: () => bytes.abort(),
  };
}

function writeHeader(
  view: DataView,
  directory: Uint8Array,
  dataStart: number,
  dataSize: number,
  plans: readonly QnatPlan[],
): void {
  const infos = plans.flatMap(({ quantized }) => (quantized ? [quantized] : []));
  let flags = infos.length > 0 ? FLAGS.quantized : 0;
  if (infos.some((info) => info.doubleQuant)) flags |= FLAGS.doubleQuant;
  if (infos.some((info) => info.strategy === 'zero-point')) flags |= FLAGS.zeroPoints;
  view.setUint32(0, QNAT_MAGIC, true);
  view.setUint32(4, QNAT_VERSION, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, ALIGNMENT, true);
  view.setBigUint64(16, BigInt(HEADER_BYTES), true);
  view.setBigUint64(24, BigInt(directory.length), true);
  view.setBigUint64(32, BigInt(dataStart), true);
  view.setBigUint64(40, BigInt(dataSize), true);
  view.setUint32(48, plans.length, true);
  view.setUint32(52, CRC32.buf(directory) >>> 0, true);
  view.setUint32(56, 0, true);
  view.setUint32(60, CRC32.buf(new Uint8Array(view.buffer, 0, 60)) >>> 0, true);
}

/** A tensor's entry in the directory. The checksum always has eight digits, so the directory's length never changes. */
function describe(
  plan: QnatPlan,
  offset: number,
  size: number,
  sizes: ReadonlyMap<Section, number>,
  offsets: ReadonlyMap<Section, number>,
  checksum: number,
): JsonObject {
  const { name, dtype, shape, quantized: q } = plan;
  const sections = Object.fromEntries(
    [...sizes].map(([section, length]) => [section, [offsets.get(section), length]]),
  );
  const quantization = q
    ? {
        scheme: q.scheme,
        strategy: q.strategy,
        ...(q.strategy === 'per-channel' ? { axis: q.axis ?? 0 } : { block_size: q.blockSize }),
        ...(q.doubleQuant ? { nested_block_size: NESTED_BLOCK_SIZE, nested_map: 'dynamic8' } : {}),
      }
    : {};
  const crc32 = checksum.toString(16).padStart(8, '0');
  return { name, dtype: q?.dtype ?? dtype, shape, ...quantization, offset, size, crc32, sections };
}

function sectionsOf(tensor: Tensor | QuantizedTensor): Map<Section, Uint8Array> {
  if (!isQuantized(tensor)) return new Map([['values', bytesOf(tensor.data)]]);
  const sections = new Map<Section, Uint8Array>([['codes', tensor.codes]]);
  if (tensor.scales.kind === 'plain') sections.set('scales', bytesOf(tensor.scales.values));
  else {
    const { codes, nestedAbsmax, offset } = tensor.scales.quantized;
    sections.set('scale_codes', codes);
    sections.set('nested_absmax', bytesOf(nestedAbsmax));
    sections.set('nested_offset', bytesOf(Float32Array.of(offset)));
  }
  if (tensor.zeroPoints) sections.set('zero_points', bytesOf(tensor.zeroPoints));
  return sections;
}

function checkAnnounced(
  label: string,
  plan: QnatPlan,
  tensor: Tensor | QuantizedTensor,
  sections: ReadonlyMap<Section, Uint8Array>,
  sizes: ReadonlyMap<Section, number>,
): void {
  const info = plan.quantized;
  const same =
    String(tensor.shape) === String(plan.shape) &&
    (isQuantized(tensor)
      ? info?.scheme === tensor.scheme && info.strategy === tensor.strategy && info.axis === tensor.axis
      : info === undefined && tensor.dtype === plan.dtype) &&
    sections.size === sizes.size &&
    [...sections].every(([section, content]) => sizes.get(section) === content.length);
  if (!same) throw new QloraError({ what: 'is not what was announced', where: [label, plan.name] });
}

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
