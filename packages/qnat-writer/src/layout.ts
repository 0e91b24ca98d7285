// The layout of QNAT version 2, as SPEC.md has it: a header of 64 bytes, a JSON directory, then each tensor's sections at
// multiples of the alignment. Sizes follow from shapes and schemes alone, so the directory can be written before the
// first tensor; only checksums come later, and they have a fixed width.
import { codecOf, type QuantizedInfo } from '@qlora/quant-strategies';
import { type DType, elementCount, elementSize, type Shape } from '@qlora/tensor';

/** The bytes `QNAT`, as a little-endian number. */
export const QNAT_MAGIC = 0x54414e51;
/** The version that is written. */
export const QNAT_VERSION = 2;
/** Size of the header. */
export const HEADER_BYTES = 64;
/** Alignment of every section. */
export const ALIGNMENT = 64;
/** Largest directory that is read. */
export const MAX_DIRECTORY_BYTES = 256 * 1024 * 1024;
/** Scales that share a nested scale. */
export const NESTED_BLOCK_SIZE = 256;

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

/** A tensor to be written: dense, or quantized as `quantized` says. */
export interface QnatPlan {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly quantized?: QuantizedInfo;
}

/** Rounds up to the alignment. */
export const align = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

/** Number of blocks with a scale of their own. */
export function blockCount(info: QuantizedInfo): number {
  if (info.strategy === 'per-channel') return info.shape[info.axis ?? 0] ?? 0;
  return Math.ceil(elementCount(info.shape) / info.blockSize);
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
