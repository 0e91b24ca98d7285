// What an export reads: a checkpoint's tensors under llama.cpp's names, in f32, with what the family does to them.
import {
  f16ToF32,
  f32ToF16,
  QloraError,
  readRange,
  requireFinite,
  type TensorInfo,
  type TensorSource,
  toFloat32,
} from '@qlora/tensor';
import type { GgufDescription, GgufTensorRule } from './families/contract';
import { permuteRows } from './permute';

/** Tensors by llama.cpp's names, read whole rows or heads at a time. */
export interface ModelSource {
  /** In the order of the converter: what is not in the checkpoint first. */
  readonly tensors: readonly TensorInfo[];
  /** Values that a range must be a multiple of. */
  unitOf(name: string): number;
  /** Values, checked to be finite. */
  readRange(name: string, start: number, count: number): Promise<Float32Array>;
}

interface Entry {
  readonly info: TensorInfo;
  readonly rule: GgufTensorRule;
}

/**
 * Sees a checkpoint as llama.cpp has it.
 * @throws QloraError unless its tensors are those that the config promises: llama.cpp takes a model without
 * `output.weight` for a tied one, and ignores what it does not know.
 */
export function modelSource(source: TensorSource, model: GgufDescription): ModelSource {
  const entries = new Map<string, Entry>();
  const missing = new Set(model.tensors.keys());
  // By name, as the converter reads each file of a checkpoint.
  for (const info of [...source.tensors].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const canonical = model.canonicalName(info.name);
    if (canonical === undefined) continue;
    const rule = model.tensors.get(canonical);
    if (!rule) refuse(source, info.name, 'is a tensor that the config does not speak of');
    else if (!missing.delete(canonical)) refuse(source, info.name, 'is there twice');
    else if (rule.shape.join() !== info.shape.join()) {
      const [is, should] = [info.shape.join(', '), rule.shape.join(', ')];
      refuse(source, info.name, `has shape [${is}], config.json asks for [${should}]`);
    } else entries.set(rule.name, { info, rule });
  }
  const [first] = missing;
  if (first !== undefined) {
    const more = missing.size > 1 ? `, nor ${missing.size - 1} others that config.json speaks of` : '';
    throw new QloraError({
      what: `no tensor named "${first}"${more}`,
      where: source.label,
      fix: 'weights and config.json do not belong together, or a shard is missing',
    });
  }
  const extra = new Map(model.extraTensors.map(({ name, values }) => [name, values]));
  const widthOf = ({ shape }: GgufTensorRule) => (shape.length > 1 ? (shape.at(-1) ?? 1) : 1);
  const headDimOf = ({ shape, heads = 1 }: GgufTensorRule) => (shape[0] ?? 1) / heads;
  return {
    tensors: [
      ...[...extra].map(([name, values]) => ({ name, dtype: 'f32' as const, shape: [values.length] })),
      ...[...entries].map(([name, { info }]) => ({ ...info, name })),
    ],
    unitOf(name) {
      const rule = entries.get(name)?.rule;
      if (!rule) return 1;
      return widthOf(rule) * (rule.heads === undefined ? 1 : headDimOf(rule));
    },
    async readRange(name, start, count) {
      const entry = entries.get(name);
      if (!entry) return (extra.get(name) ?? new Float32Array(0)).slice(start, start + count);
      const { info, rule } = entry;
      const read = await readRange(source, info.name, start, count);
      requireFinite(read, [source.label, info.name], start);
      const values = toFloat32(read);
      if (rule.shift !== undefined) return shifted(values, rule.shift, info.dtype === 'f16');
      return rule.heads === undefined ? values : permuteRows(values, widthOf(rule), headDimOf(rule));
    },
  };
}

/** Values with a number added: in f16 where the tensor is f16, because the converter adds before it casts. */
function shifted(values: Float32Array, shift: number, half: boolean): Float32Array {
  return values.map((value) => (half ? f16ToF32(f32ToF16(Math.fround(value + shift))) : value + shift));
}

function refuse(source: TensorSource, name: string, what: string): never {
  throw new QloraError({
    what,
    where: [source.label, name],
    fix: 'weights and config.json do not belong together',
  });
}
