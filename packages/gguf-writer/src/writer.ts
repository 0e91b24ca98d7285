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
import {
  alignTo,
  GGUF_ALIGNMENT,
  GGUF_MAGIC,
  GGUF_VERSION,
  isAlignment,
  MAX_AXES,
  MAX_KEY,
  MAX_TENSOR_NAME,
} from './container';
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

const byteCount = (text: string) => new TextEncoder().encode(text).length;

/**
 * Opens a GGUF file for the given metadata and tensors. Float tensors of any kind are encoded into the planned type as
 * they are written, in any order.
 *
 * @throws QloraError for metadata that is not of its type, names that are too long or there twice, more than 4 axes, or
 * rows that are no whole blocks; from `write`, for a tensor that was not announced, and for values too large for the
 * type.
 */
export async function ggufSink(bytes: ByteSink, { metadata, tensors }: GgufContent): Promise<TensorSink> {
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
  const pending = new Set(plans.keys());
  return {
    async write(name: string, tensor: Tensor) {
      const plan = plans.get(name);
      if (!plan || !pending.delete(name)) {
        throw new QloraError({ what: plan ? 'is written twice' : 'was not announced', where: [label, name] });
      }
      if (tensor.shape.join() !== plan.shape.join()) {
        throw new QloraError({
          what: `shape [${tensor.shape.join(', ')}] came where [${plan.shape.join(', ')}] was announced`,
          where: [label, name],
        });
      }
      const values = toFloat32(tensor);
      checkMagnitude(values, plan.type, [label, name]);
      const encoded = plan.type.encode(values);
      const start = dataStart + (offsets.get(name) ?? 0);
      await bytes.write(start, encoded);
      // Padding belongs to the tensor's write, so that the file ends aligned whatever came last.
      const padding = alignTo(encoded.length, alignment) - encoded.length;
      if (padding > 0) await bytes.write(start + encoded.length, new Uint8Array(padding));
    },
    async finish() {
      if (pending.size > 0) {
        throw new QloraError({
          what: `${pending.size} announced tensors were not written: ${[...pending].slice(0, 3).join(', ')}, …`,
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

/** A value that becomes infinite, or in a block spoils its neighbours, must not go unseen. */
function checkMagnitude(values: Float32Array, type: BlockType, where: string[]): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Math.abs(value) <= type.maxMagnitude) continue;
    // Types of single values hold infinity and NaN as they are.
    if (type.blockSize === 1 && !Number.isFinite(value)) continue;
    throw new QloraError({
      what: `value ${i} is ${value}, ${type.name} holds magnitudes up to ${type.maxMagnitude}`,
      where,
      fix: 'write f32 or bf16',
    });
  }
}

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
  if (byteCount(name) > MAX_TENSOR_NAME)
    refuse(`has a name of more than ${MAX_TENSOR_NAME} bytes, which ggml cannot hold`);
  if (shape.length > MAX_AXES) refuse(`has ${shape.length} axes, ggml holds ${MAX_AXES}`);
  if ((shape.at(-1) ?? 1) % type.blockSize !== 0) {
    refuse(`has rows of ${shape.at(-1)}, no whole blocks of ${type.blockSize} as ${type.name} needs`);
  }
}
