// bitsandbytes' 4-bit weights in safetensors, read as quantized tensors; bitsandbytes-tensors.ts says how
// they are stored.
import {
  codecOf,
  dequantizeToTensor,
  type QuantizedSource,
  type QuantizedTensor,
  scalesOf,
} from '@qlora/quant-strategies';
import {
  bytesOf,
  checkElements,
  elementCount,
  elementSize,
  printable,
  QloraError,
  readRange,
  type Tensor,
  type TensorInfo,
  type TensorSource,
  tensor,
} from '@qlora/tensor';
import { readScales, readState, type StoredState } from './bitsandbytes-state';
import { type BitsandbytesInfo, STATE } from './bitsandbytes-tensors';

/** A source with bitsandbytes' weights. */
export interface BitsandbytesSource extends QuantizedSource {
  readonly quantized: ReadonlyMap<string, BitsandbytesInfo>;
  /**
   * Of a quantized weight, what is decoded are the blocks that cover the range. Its scales are kept until
   * another weight is asked for, so that of ranges in order each scale is read once.
   */
  readRange(name: string, start: number, count: number): Promise<Tensor>;
}

/**
 * A source that understands bitsandbytes' 4-bit weights in `source`: they are quantized tensors of the
 * result, and their parts are no longer listed. A source without any comes back as it is, with no quantized
 * tensors.
 *
 * Weights have the shape that bitsandbytes was given. transformers gives it those of Conv1D (GPT-2 and its
 * kin) transposed, so that they are [out, in] here and [in, out] in a checkpoint that is not quantized.
 *
 * @throws QloraError for a state that lies: unknown types, sizes that do not agree, two states for one
 * weight.
 */
export async function bitsandbytesSource(source: TensorSource): Promise<BitsandbytesSource> {
  const infos = new Map(source.tensors.map((info) => [info.name, info]));
  const states = new Map<string, StoredState>();
  const parts = new Set<string>();
  for (const { name } of source.tensors) {
    const at = name.indexOf(STATE);
    if (at < 0) continue;
    const weight = name.slice(0, at);
    if (states.has(weight)) {
      throw new QloraError({
        rule: 'bitsandbytes/state',
        what: `is a second state of ${printable(weight)}`,
        where: [source.label, printable(name)],
      });
    }
    const scheme = name.slice(at + STATE.length);
    const part = (suffix: string) => infos.get(`${weight}.${suffix}`);
    states.set(weight, await readState(source, { weight, name, scheme, codes: infos.get(weight), part }));
    parts.add(name);
    for (const suffix of ['absmax', 'quant_map', 'nested_absmax', 'nested_quant_map'])
      parts.add(`${weight}.${suffix}`);
  }
  let last: { readonly name: string; readonly scales: Promise<Float32Array> } | undefined;
  /** The weight's scales in f32, read once for as long as no other weight comes between. */
  const decodedScales = (name: string, state: StoredState): Promise<Float32Array> => {
    if (last?.name === name) return last.scales;
    const scales = readScales(source, name, state).then((stored) => scalesOf({ scales: stored }));
    const entry = { name, scales };
    last = entry;
    // What failed once is tried again.
    scales.catch(() => {
      if (last === entry) last = undefined;
    });
    return scales;
  };
  const result: BitsandbytesSource = {
    label: source.label,
    metadata: source.metadata,
    quantized: new Map([...states].map(([name, { info }]) => [name, info])),
    tensors: source.tensors
      .filter(({ name }) => !parts.has(name))
      .map((info): TensorInfo => {
        const state = states.get(info.name);
        return state ? { name: info.name, dtype: 'f32', shape: state.info.shape } : info;
      }),
    async readQuantized(name) {
      const state = states.get(name);
      if (!state) throw new QloraError({ what: `tensor "${name}" is not quantized`, where: source.label });
      return readWeight(source, name, state);
    },
    async read(name) {
      return states.has(name)
        ? dequantizeToTensor(await result.readQuantized(name), 'f32')
        : source.read(name);
    },
    async readRange(name, start, count) {
      const state = states.get(name);
      if (!state) return readRange(source, name, start, count);
      checkElements({ name, dtype: 'f32', shape: state.info.shape }, start, count, source.label);
      return readValues(source, name, state, await decodedScales(name, state), start, count);
    },
    close: () => source.close(),
  };
  return result;
}

async function readWeight(source: TensorSource, name: string, state: StoredState): Promise<QuantizedTensor> {
  const { scheme, strategy, blockSize, shape, dtype } = state.info;
  const scales = await readScales(source, name, state);
  const { data } = await source.read(name);
  return { scheme, strategy, shape, dtype, blockSize, codes: bytesOf(data), scales };
}

/** Decodes the blocks that hold `count` values from `start` on. Blocks begin at whole values of any storage type. */
async function readValues(
  source: TensorSource,
  name: string,
  { info }: StoredState,
  scales: Float32Array,
  start: number,
  count: number,
): Promise<Tensor> {
  if (count === 0) return tensor('f32', [0], new Float32Array(0));
  const { blockSize, scheme, shape } = info;
  const firstBlock = Math.floor(start / blockSize);
  const lastBlock = Math.ceil((start + count) / blockSize);
  const first = firstBlock * blockSize;
  const total = Math.min(lastBlock * blockSize, elementCount(shape)) - first;
  const codes = await readBytes(source, name, first / 2, Math.ceil(total / 2));
  const values = codecOf(scheme).decode(codes, scales.subarray(firstBlock, lastBlock), blockSize, total);
  return tensor('f32', [count], values.subarray(start - first, start - first + count));
}

/** Bytes of a tensor, from a place and of a length that are whole values of its type. */
async function readBytes(
  source: TensorSource,
  name: string,
  start: number,
  length: number,
): Promise<Uint8Array> {
  const info = source.tensors.find((listed) => listed.name === name);
  const size = info ? elementSize(info.dtype) : 1;
  const { data } = await readRange(source, name, start / size, length / size);
  return bytesOf(data);
}
