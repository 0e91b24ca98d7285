// A GGUF v3 file, streamed: header, metadata and tensor directory first, then the tensors' data, each at a multiple of
// the alignment (docs/gguf.md of ggml). Dimensions are stored innermost first, the reverse of a shape here.
import { type BlockType, blockByteLength } from '@qlora/ggml-blocks';
import {
  type ByteSink,
  elementCount,
  printable,
  QloraError,
  type Shape,
  type Tensor,
  type TensorSink,
  toFloat32,
} from '@qlora/tensor';
import { BytesWriter } from './bytes-writer';
import {
  alignTo,
  GGUF_ALIGNMENT,
  GGUF_MAGIC,
  GGUF_VERSION,
  isAlignment,
  MAX_AXES,
  MAX_TENSOR_NAME,
} from './container';
import { encodeBlocks } from './encode';
import { MAX_KEY } from './rules';
import { checkValue, type GgufMetadata } from './value';

/** A tensor that will come. */
export interface GgufTensorPlan {
  readonly name: string;
  /** Outermost axis first. Rows (the last axis) must be whole blocks of the type. */
  readonly shape: Shape;
  readonly type: BlockType;
}

/** What a file will hold. */
export interface GgufContent {
  /** In the order of the file. `general.alignment` (u32, a power of two) sets the alignment; without it, it is 32. */
  readonly metadata: GgufMetadata;
  /** In the order of the file. */
  readonly tensors: readonly GgufTensorPlan[];
}

/** A GGUF file that is being written. */
export interface GgufSink extends TensorSink {
  /**
   * Blocks of an announced tensor, encoded in its type already, that stand for values from `start` on. They may come in any
   * order; the tensor is written when they add up to it.
   */
  writeBlocks(name: string, start: number, blocks: Uint8Array): Promise<void>;
}

const byteCount = (text: string) => new TextEncoder().encode(text).length;

/**
 * Opens a GGUF file for the given metadata and tensors. Float tensors of any kind are encoded into the planned type as
 * they are written, in any order.
 *
 * @throws QloraError for metadata that is not of its type, names that are too long or there twice, more than 4 axes, or
 * rows that are no whole blocks; from `write`, for a tensor that was not announced, and for values too large for the
 * type.
 */
export async function ggufSink(bytes: ByteSink, { metadata, tensors }: GgufContent): Promise<GgufSink> {
  const { label } = bytes;
  const alignment = alignmentOf(metadata, label);
  const header = new BytesWriter();
  header.u32(GGUF_MAGIC);
  header.u32(GGUF_VERSION);
  header.u64(tensors.length);
  header.u64(metadata.size);
  for (const [key, value] of metadata) {
    if (key === '' || byteCount(key) > MAX_KEY) {
      throw new QloraError({ what: `a metadata key has ${byteCount(key)} bytes`, where: label });
    }
    if (key.includes('\0')) {
      throw new QloraError({ what: 'the key has a zero in it', where: [label, printable(key)] });
    }
    checkValue(`${label}: ${key}`, value);
    header.string(key);
    header.value(value);
  }
  const offsets = new Map<string, number>();
  let end = 0;
  for (const { name, shape, type } of tensors) {
    checkPlan(label, name, shape, type, offsets);
    header.string(name);
    header.u32(shape.length);
    for (const length of [...shape].reverse()) header.u64(length);
    header.u32(type.id);
    header.u64(end);
    offsets.set(name, end);
    end = alignTo(end + blockByteLength(type, elementCount(shape)), alignment);
  }
  const dataStart = alignTo(header.length, alignment);
  const head = new Uint8Array(dataStart);
  head.set(header.bytes());
  await bytes.write(0, head);

  const plans = new Map(tensors.map((plan) => [plan.name, plan]));
  // Bytes that are still to come, by tensor.
  const pending = new Map(
    tensors.map(({ name, type, shape }) => [name, blockByteLength(type, elementCount(shape))]),
  );
  const announced = (name: string): GgufTensorPlan => {
    const plan = plans.get(name);
    if (plan && pending.has(name)) return plan;
    throw new QloraError({ what: plan ? 'is written twice' : 'was not announced', where: [label, name] });
  };
  const put = async ({ name, type, shape }: GgufTensorPlan, start: number, blocks: Uint8Array) => {
    const total = blockByteLength(type, elementCount(shape));
    const left = pending.get(name) ?? 0;
    const at = (start / type.blockSize) * type.blockBytes;
    const whole = start % type.blockSize === 0 && blocks.length % type.blockBytes === 0;
    if (!whole || !Number.isSafeInteger(at) || at < 0 || at + blocks.length > total || blocks.length > left) {
      throw new QloraError({
        what: `${blocks.length} bytes came for value ${start}, where ${left} of ${total} were missing`,
        where: [label, name],
        fix: 'write whole blocks, each once',
      });
    }
    // Counted before the write, since other parts may come while it goes on.
    if (blocks.length === left) pending.delete(name);
    else pending.set(name, left - blocks.length);
    const place = dataStart + (offsets.get(name) ?? 0);
    await bytes.write(place + at, blocks);
    // Padding belongs to the tensor's last bytes, so that the file ends aligned whatever came last.
    const padding = at + blocks.length === total ? alignTo(total, alignment) - total : 0;
    if (padding > 0) await bytes.write(place + total, new Uint8Array(padding));
  };
  return {
    async write(name: string, tensor: Tensor) {
      const plan = announced(name);
      if (tensor.shape.join() !== plan.shape.join()) {
        throw new QloraError({
          what: `shape [${tensor.shape.join(', ')}] came where [${plan.shape.join(', ')}] was announced`,
          where: [label, name],
        });
      }
      await put(plan, 0, encodeBlocks(toFloat32(tensor), plan.type, [label, name]));
    },
    writeBlocks: async (name, start, blocks) => put(announced(name), start, blocks),
    async finish() {
      if (pending.size > 0) {
        throw new QloraError({
          what: `${pending.size} announced tensors were not written: ${[...pending.keys()].slice(0, 3).join(', ')}, …`,
          where: label,
        });
      }
      await bytes.finish();
    },
    abort: () => bytes.abort(),
  };
}

function alignmentOf(metadata: GgufMetadata, label: string): number {
  const value = metadata.get('general.alignment');
  if (value === undefined) return GGUF_ALIGNMENT;
  if (value.type === 'u32' && isAlignment(value.value)) return value.value;
  throw new QloraError({
    what: `general.alignment is ${value.type} ${String(value.value)}`,
    where: label,
    fix: 'a power of two is needed, as u32',
  });
}

function checkPlan(
  label: string,
  name: string,
  shape: Shape,
  type: BlockType,
  seen: ReadonlyMap<string, number>,
): void {
  const refuse = (what: string) => {
    throw new QloraError({ what, where: [label, printable(name)] });
  };
  if (name.includes('\0')) refuse('has a zero in its name, at which ggml would end it');
  if (seen.has(name)) refuse('is there twice');
  if (byteCount(name) > MAX_TENSOR_NAME)
    refuse(`has a name of more than ${MAX_TENSOR_NAME} bytes, which ggml cannot hold`);
  if (shape.length > MAX_AXES) refuse(`has ${shape.length} axes, ggml holds ${MAX_AXES}`);
  if ((shape.at(-1) ?? 1) % type.blockSize !== 0) {
    refuse(`has rows of ${shape.at(-1)}, no whole blocks of ${type.blockSize} as ${type.name} needs`);
  }
}
