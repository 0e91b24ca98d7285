// A GGUF v3 file, streamed: header, metadata and tensor directory first, then the tensors' data, each at a multiple of
// the alignment (docs/gguf.md of ggml). Dimensions are stored innermost first, the reverse of a shape here.
import { type BlockType, blockByteLength } from '@qlora/ggml-blocks';
import {
  type ByteSink,
  elementCount,
  QloraError,
  type Shape,
  type Tensor,
  type TensorSink,
  toFloat32,
} from '@qlora/tensor';
import { BytesWriter } from './bytes-writer';
import type { GgufMetadata } from './value';

/** Bytes `GGUF`, as a little-endian number. */
export const GGUF_MAGIC = 0x46554747;
/** The version that is written. */
export const GGUF_VERSION = 3;
/** Default alignment of tensor data. */
export const GGUF_ALIGNMENT = 32;

/** A tensor that will come. */
export interface GgufTensorPlan {
  readonly name: string;
  /** Outermost axis first. Rows (the last axis) must be whole blocks of the type. */
  readonly shape: Shape;
  readonly type: BlockType;
}

const align = (offset: number) => Math.ceil(offset / GGUF_ALIGNMENT) * GGUF_ALIGNMENT;

/**
 * Opens a GGUF file for the given metadata and tensors. Float tensors of any kind are encoded into the planned type as
 * they are written, in any order.
 *
 * @throws QloraError for names that are too long or there twice, more than 4 axes, or rows that are no whole blocks.
 */
export async function ggufSink(
  bytes: ByteSink,
  metadata: GgufMetadata,
  tensors: readonly GgufTensorPlan[],
): Promise<TensorSink> {
  const header = new BytesWriter();
  header.u32(GGUF_MAGIC);
  header.u32(GGUF_VERSION);
  header.u64(tensors.length);
  header.u64(metadata.size);
  for (const [key, value] of metadata) {
    header.string(key);
    header.value(value);
  }
  const offsets = new Map<string, number>();
  let end = 0;
  for (const { name, shape, type } of tensors) {
    checkPlan(bytes.label, name, shape, type, offsets);
    header.string(name);
    header.u32(shape.length);
    for (const length of [...shape].reverse()) header.u64(length);
    header.u32(type.id);
    header.u64(end);
    offsets.set(name, end);
    end = align(end + blockByteLength(type, elementCount(shape)));
  }
  const dataStart = align(header.length);
  const head = new Uint8Array(dataStart);
  head.set(header.bytes());
  await bytes.write(0, head);

  const plans = new Map(tensors.map((plan) => [plan.name, plan]));
  const pending = new Set(plans.keys());
  return {
    async write(name: string, tensor: Tensor) {
      const plan = plans.get(name);
      if (!plan || !pending.delete(name)) {
        throw new QloraError({
          what: plan ? 'is written twice' : 'was not announced',
          where: [bytes.label, name],
        });
      }
      if (elementCount(tensor.shape) !== elementCount(plan.shape)) {
        throw new QloraError({
          what: `shape [${tensor.shape.join(', ')}] came where [${plan.shape.join(', ')}] was announced`,
          where: [bytes.label, name],
        });
      }
      const encoded = plan.type.encode(toFloat32(tensor));
      // Padding is part of the tensor's write, so that the file ends aligned whatever came last.
      const padded = new Uint8Array(align(encoded.length));
      padded.set(encoded);
      await bytes.write(dataStart + (offsets.get(name) ?? 0), padded);
    },
    async finish() {
      if (pending.size > 0) {
        throw new QloraError({
          what: `${pending.size} announced tensors were not written: ${[...pending][0]}, …`,
          where: bytes.label,
        });
      }
      await bytes.finish();
    },
    abort: () => bytes.abort(),
  };
}

// ggml/include/ggml.h: GGML_MAX_NAME is 64 with its final zero, GGML_MAX_DIMS is 4.
function checkPlan(
  label: string,
  name: string,
  shape: Shape,
  type: BlockType,
  seen: ReadonlyMap<string, number>,
): void {
  const refuse = (what: string) => {
    throw new QloraError({ what, where: [label, name] });
  };
  if (seen.has(name)) refuse('is there twice');
  if (new TextEncoder().encode(name).length > 63)
    refuse('has a name of more than 63 bytes, which ggml cannot hold');
  if (shape.length > 4) refuse(`has ${shape.length} axes, ggml holds 4`);
  if ((shape.at(-1) ?? 1) % type.blockSize !== 0) {
    refuse(`has rows of ${shape.at(-1)}, no whole blocks of ${type.blockSize} as ${type.name} needs`);
  }
}
