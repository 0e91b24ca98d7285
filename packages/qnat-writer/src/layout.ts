// The layout of QNAT version 2, as SPEC.md has it: a header of 64 bytes, a JSON directory, then each tensor's sections at
// multiples of the alignment. Sizes follow from shapes and schemes alone, so the directory can stand before the data and
// be known before the first tensor; only checksums come later, and they have a fixed width.
import { codecOf, type QuantizedInfo } from '@qlora/quant-strategies';
import { type DType, elementCount, elementSize, QloraError, type Shape } from '@qlora/tensor';

/** The bytes `QNAT`, as a little-endian number. */
export const QNAT_MAGIC = 0x54414e51;
/** The version that is written. */
export const QNAT_VERSION = 2;
/**
 * The number beside the version that tells this specification's files from those of qlora-rs, which counts its own
 * versions (1 and 2) in 32 bits and so has 0 here.
 */
export const QNAT_DIALECT = 1;
/** Size of the header. */
export const HEADER_BYTES = 64;
/** Alignment of every section. */
export const ALIGNMENT = 64;
/** Scales that share a nested scale. */
export const NESTED_BLOCK_SIZE = 256;
/** Name of the map of 8-bit scales: bitsandbytes' signed dynamic map. */
export const NESTED_MAP = 'dynamic8';

/** What a file may have at most. */
export const LIMITS = {
  /** Four times the largest tokenizer.json in use (33 MB), or as many tensors as there may be with long names. */
  directoryBytes: 128 * 1024 * 1024,
  /** Depth of objects and lists in the directory. */
  directoryDepth: 64,
  /**
   * Commas and opening brackets in the directory, which its values cannot be more than. The largest tokenizers have 2 million
   * (vocabulary, and merges as pairs), an entry about 20. At this limit the worst text, all keys of one object, takes about
   * a gigabyte.
   */
  directoryValues: 1 << 22,
  /** Keys of one object: those of JavaScript get slow beyond. The largest vocabularies have 262,000. */
  objectKeys: 1 << 20,
  /** Characters of a number. */
  numberBytes: 1024,
  /** The largest models, which have tensors by expert, have 91,000. */
  tensors: 1 << 17,
  nameBytes: 1024,
  rank: 16,
  blockSize: 2 ** 32 - 1,
} as const;

/** Bits of the header's flags. */
export const FLAGS = { quantized: 1, doubleQuant: 2, zeroPoints: 4 } as const;

/** Names of the sections of a tensor, in their order in the file. */
export const SECTIONS = [
  'values',
  'codes',
  'scales',
  'scale_codes',
  'nested_absmax',
  'nested_offset',
  'zero_points',
] as const;

/** One of {@link SECTIONS}. */
export type Section = (typeof SECTIONS)[number];

/** The strategies that the format has a layout for. */
export const QNAT_STRATEGIES: readonly string[] = ['blockwise', 'per-channel', 'zero-point'];

/** A tensor to be written: dense, or quantized as `quantized` says. */
export interface QnatPlan {
  readonly name: string;
  /** Type of a dense tensor; a quantized one has its own in `quantized`. */
  readonly dtype: DType;
  readonly shape: Shape;
  readonly quantized?: QuantizedInfo;
}

/** Rounds up to the alignment. */
export const align = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

/**
 * Number of blocks with a scale of their own.
 * @throws QloraError for a strategy that the format has no layout for, or an axis that the shape lacks.
 */
export function blockCount(info: QuantizedInfo): number {
  const { strategy, shape, axis = 0, blockSize } = info;
  if (!QNAT_STRATEGIES.includes(strategy)) {
    throw new QloraError({
      what: `QNAT has no layout for the strategy "${strategy}"`,
      fix: `use ${QNAT_STRATEGIES.join(', ')}`,
    });
  }
  if (strategy !== 'per-channel') return Math.ceil(elementCount(shape) / blockSize);
  const channels = shape[axis];
  if (channels === undefined)
    throw new QloraError({ what: `shape [${shape.join(', ')}] has no axis ${axis}` });
  return channels;
}

/** Bytes of each section of a tensor, in the order of {@link SECTIONS}. */
export function sectionSizes(plan: Pick<QnatPlan, 'dtype' | 'shape' | 'quantized'>): Map<Section, number> {
  const count = elementCount(plan.shape);
  const info = plan.quantized;
  if (!info) return new Map([['values', count * elementSize(plan.dtype)]]);
  const blocks = blockCount(info);
  const bits = codecOf(info.scheme).bitsPerValue;
  // Channels do not share a byte.
  const codes =
    info.strategy === 'per-channel'
      ? blocks * Math.ceil(((blocks === 0 ? 0 : count / blocks) * bits) / 8)
      : Math.ceil((count * bits) / 8);
  const sizes = new Map<Section, number>([['codes', codes]]);
  if (info.doubleQuant) {
    sizes.set('scale_codes', blocks);
    sizes.set('nested_absmax', Math.ceil(blocks / NESTED_BLOCK_SIZE) * 4);
    sizes.set('nested_offset', 4);
  } else sizes.set('scales', blocks * 4);
  if (info.strategy === 'zero-point') sizes.set('zero_points', blocks * 4);
  return sizes;
}

/** Where the sections of a tensor begin, relative to its own start, and its whole size, padded. */
export function sectionOffsets(sizes: ReadonlyMap<Section, number>): {
  offsets: Map<Section, number>;
  size: number;
} {
  const offsets = new Map<Section, number>();
  let end = 0;
  for (const section of SECTIONS) {
    const size = sizes.get(section);
    if (size === undefined) continue;
    offsets.set(section, end);
    end = align(end + size);
  }
  return { offsets, size: end };
}

/** The header's flags for these tensors. */
export function flagsOf(tensors: Iterable<{ readonly quantized?: QuantizedInfo | undefined }>): number {
  let flags = 0;
  for (const { quantized } of tensors) {
    if (!quantized) continue;
    flags |= FLAGS.quantized;
    if (quantized.doubleQuant) flags |= FLAGS.doubleQuant;
    if (quantized.strategy === 'zero-point') flags |= FLAGS.zeroPoints;
  }
  return flags;
}
