// Writing QNAT version 2. The directory stands before the data, because all of it but the checksums is known from the
// plans: a reader then finds everything with its first read, on a disk or over a network. Tensors go to their places as
// they come, whole or in parts; header and directory are written last, so an unfinished file begins with zeros and is never taken for one.
import { createDynamicMap } from '@qlora/double-quant';
import type { QuantizedTensor } from '@qlora/quant-strategies';
import { type ByteSink, bytesOf, elementSize, QloraError, type Tensor } from '@qlora/tensor';
import { CrcParts, crc32Combine } from './crc-parts';
import { describe, type JsonObject, parseDirectory } from './directory';
import { crc32, encodeHeader } from './header';
import {
  align,
  flagsOf,
  HEADER_BYTES,
  LIMITS,
  NESTED_BLOCK_SIZE,
  NESTED_MAP,
  type QnatPlan,
  type Section,
  sectionOffsets,
  sectionSizes,
} from './layout';
import { refuser } from './refuse';

/** A QNAT file that is being written. */
export interface QnatSink {
  /**
   * Writes a tensor that was announced, dense or quantized as announced; in any order, one at a time or several at once.
   * @throws QloraError if it was not announced, not like this, or is there already.
   */
  write(name: string, tensor: Tensor | QuantizedTensor): Promise<void>;
  /**
   * A part of a dense tensor: values from `start` on, in row-major order. Parts may come in any order; the tensor is
   * written when they add up to it.
   * @throws QloraError for another type than was announced, and for values that lie outside or came before.
   */
  writeRange(name: string, start: number, values: Tensor): Promise<void>;
  /**
   * Bytes of a section of a tensor, as SPEC.md has it, from byte `at` of that section on: for quantized tensors that are
   * made part by part. In any order, each byte once. What they mean is not looked at; scales in 8 bits must be those of
   * bitsandbytes' map in blocks of 256.
   * @throws QloraError for a section that the tensor has not, and for bytes that lie outside or came before.
   */
  writeSection(name: string, section: Section, at: number, content: Uint8Array): Promise<void>;
  /** Completes the file. @throws QloraError if an announced tensor was not written. */
  finish(): Promise<void>;
  /** Drops what was written. Harmless after `finish`. */
  abort(): Promise<void>;
}

/**
 * Opens a QNAT file for the given tensors, which will lie in it in this order.
 *
 * @param metadata free JSON; `config`, `tokenizer` and `tokenizer_config` hold a model's files, see SPEC.md.
 * @throws QloraError for tensors that the format cannot hold (two of one name, an unknown strategy, …), with the rule
 *   of the format that they would break, and for metadata that is no JSON.
 * @example
 * const sink = await qnatSink(await fileSink('model.qnat'), [
 *   { name: 'w', dtype: 'f32', shape: [64, 64], quantized: { scheme: 'nf4', … } },
 *   { name: 'norm', dtype: 'f32', shape: [64] },
 * ]);
 */
export async function qnatSink(
  bytes: ByteSink,
  plans: readonly QnatPlan[],
  metadata: JsonObject = {},
): Promise<QnatSink> {
  const { label } = bytes;
  const places = place(plans);
  const checksums = new Map<string, number>();
  const meta = stringify(metadata, label);
  const encode = () => {
    const tensors = plans.map((plan, i) =>
      JSON.stringify(describe(plan, places[i]?.start ?? 0, checksums.get(plan.name) ?? 0)),
    );
    return new TextEncoder().encode(`{"metadata":${meta},"tensors":[${tensors.join(',')}]}`);
  };
  const draft = encode();
  const { dataSize } = parseDirectory(draft, refuser(label));
  if (draft.length > LIMITS.directoryBytes || plans.length > LIMITS.tensors) {
    throw new QloraError({
      what: `a directory of ${draft.length} bytes and ${plans.length} tensors is too large`,
      where: label,
      fix: `the limits are ${LIMITS.directoryBytes} and ${LIMITS.tensors}`,
    });
  }
  const dataStart = align(HEADER_BYTES + draft.length);
  const states = new Map(places.map(({ plan, start }) => [plan.name, stateOf(plan, dataStart + start)]));
  const announced = (name: string): State => {
    const state = states.get(name);
    if (state) return state;
    throw new QloraError({ what: 'was not announced', where: [label, name] });
  };
  const put = async (state: State, section: Section, at: number, content: Uint8Array) => {
    const { name } = state.plan;
    const place = state.sections.get(section);
    if (!place) throw new QloraError({ what: `has no section "${section}"`, where: [label, name] });
    if (!place.parts.add(at, content)) {
      throw new QloraError({
        what: `${content.length} bytes came for byte ${at} of ${section}, which has ${place.parts.length}, ${place.parts.count} of them written`,
        where: [label, name],
        fix: 'write each byte once',
      });
    }
    state.touched = true;
    // Known before the write, since other parts may come while it goes on.
    const checksum = checksumOf(state);
    if (checksum !== undefined) checksums.set(name, checksum);
    if (content.length > 0) await bytes.write(state.start + place.offset + at, content);
    if (checksum !== undefined) await writePadding(bytes, state);
  };

  return {
    async write(name, tensor) {
      const state = announced(name);
      if (state.touched) throw new QloraError({ what: 'is written twice', where: [label, name] });
      const sections = sectionsOf(tensor);
      checkAnnounced(label, state.plan, tensor, sections);
      state.touched = true;
      for (const [section, content] of sections) await put(state, section, 0, content);
    },
    async writeRange(name, start, values) {
      const state = announced(name);
      const { quantized, dtype } = state.plan;
      if (quantized || values.dtype !== dtype) {
        throw new QloraError({
          what: `${values.dtype} values came, ${quantized ? 'a quantized tensor' : dtype} was announced`,
          where: [label, name],
        });
      }
      await put(state, 'values', start * elementSize(dtype), bytesOf(values.data));
    },
    async writeSection(name, section, at, content) {
      await put(announced(name), section, at, content);
    },
    async finish() {
      const missing = plans.filter(({ name }) => !checksums.has(name));
      if (missing.length > 0) {
        throw new QloraError({
          what: `${missing.length} announced tensors were not written: ${missing[0]?.name}, …`,
          where: label,
        });
      }
      const directory = encode();
      const head = new Uint8Array(dataStart);
      head.set(directory, HEADER_BYTES);
      const header = {
        flags: flagsOf(plans),
        directorySize: directory.length,
        directoryCrc32: crc32(directory),
        dataStart,
        dataSize,
        tensorCount: plans.length,
      };
      head.set(encodeHeader(header));
      await bytes.write(0, head);
      await bytes.finish();
    },
    abort: () => bytes.abort(),
  };
}

/** A tensor on its way into the file. */
interface State {
  readonly plan: QnatPlan;
  /** Position in the file. */
  readonly start: number;
  readonly sections: ReadonlyMap<Section, { readonly offset: number; readonly parts: CrcParts }>;
  /** Whether anything came. */
  touched: boolean;
}

function stateOf(plan: QnatPlan, start: number): State {
  const sizes = sectionSizes(plan);
  const { offsets } = sectionOffsets(sizes);
  const sections = new Map(
    [...sizes].map(([section, length]) => [
      section,
      { offset: offsets.get(section) ?? 0, parts: new CrcParts(length) },
    ]),
  );
  return { plan, start, sections, touched: false };
}

const paddingOf = (parts: CrcParts) => new Uint8Array(align(parts.length) - parts.length);

/** The checksum of a tensor with its padding, or undefined as long as something is missing. */
function checksumOf({ sections }: State): number | undefined {
  let checksum = 0;
  for (const { parts } of sections.values()) {
    if (parts.crc32 === undefined) return undefined;
    checksum = crc32(paddingOf(parts), crc32Combine(checksum, parts.crc32, parts.length));
  }
  return checksum;
}

async function writePadding(bytes: ByteSink, { sections, start }: State): Promise<void> {
  for (const { offset, parts } of sections.values()) {
    const padding = paddingOf(parts);
    if (padding.length > 0) await bytes.write(start + offset + parts.length, padding);
  }
}

/** Where each tensor begins, relative to the first. */
function place(plans: readonly QnatPlan[]): { plan: QnatPlan; start: number }[] {
  let end = 0;
  return plans.map((plan) => {
    const start = end;
    end += sectionOffsets(sectionSizes(plan)).size;
    return { plan, start };
  });
}

function stringify(metadata: JsonObject, label: string): string {
  try {
    return JSON.stringify(metadata);
  } catch (cause) {
    throw new QloraError({
      what: `metadata is no JSON: ${(cause as Error).message.split('\n')[0]}`,
      where: label,
      cause,
    });
  }
}

const isQuantized = (tensor: Tensor | QuantizedTensor): tensor is QuantizedTensor => 'codes' in tensor;

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

/** Throws unless the tensor is the one that its plan describes, field by field. */
function checkAnnounced(
  label: string,
  plan: QnatPlan,
  tensor: Tensor | QuantizedTensor,
  sections: ReadonlyMap<Section, Uint8Array>,
): void {
  const differ = (field: string, is: unknown, announced: unknown) => {
    if (is === announced) return;
    throw new QloraError({
      what: `${field} is ${is}, ${announced} was announced`,
      where: [label, plan.name],
    });
  };
  const info = plan.quantized;
  differ('the tensor', isQuantized(tensor) ? 'quantized' : 'dense', info ? 'quantized' : 'dense');
  differ('shape', `[${tensor.shape.join(', ')}]`, `[${plan.shape.join(', ')}]`);
  differ('dtype', tensor.dtype, info?.dtype ?? plan.dtype);
  if (info && isQuantized(tensor)) {
    differ('scheme', tensor.scheme, info.scheme);
    differ('strategy', tensor.strategy, info.strategy);
    differ('double quantization', tensor.scales.kind === 'double', info.doubleQuant);
    if (info.strategy === 'per-channel') differ('axis', tensor.axis ?? 0, info.axis ?? 0);
    else differ('block size', tensor.blockSize, info.blockSize);
    if (tensor.scales.kind === 'double') {
      const { blockSize, map } = tensor.scales.quantized;
      differ('nested block size', blockSize, NESTED_BLOCK_SIZE);
      const dynamic = createDynamicMap();
      const same = map.length === 256 && map.every((value, i) => value === dynamic[i]);
      differ('the map of the scales', same ? NESTED_MAP : 'another', NESTED_MAP);
    }
  }
  const sizes = sectionSizes(plan);
  for (const section of new Set([...sizes.keys(), ...sections.keys()]))
    differ(`the size of ${section}`, sections.get(section)?.length, sizes.get(section));
}
