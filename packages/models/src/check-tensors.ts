// Whether weights and config belong together.
import { isFloat, QloraError, type TensorSource } from '@qlora/tensor';

/**
 * Throws unless every tensor is there in its shape, so that a wrong checkpoint is refused before it is loaded.
 * @param shapes what {@link ModelFamily.tensors} says.
 */
export function checkTensors(source: TensorSource, shapes: ReadonlyMap<string, readonly number[]>): void {
  const found = new Map(source.tensors.map((info) => [info.name, info]));
  for (const [name, shape] of shapes) {
    const info = found.get(name);
    if (!info) {
      throw new QloraError({
        what: `no tensor named "${name}"`,
        where: source.label,
        fix: 'weights and config.json do not belong together, or a shard is missing',
      });
    }
    if (!isFloat(info.dtype)) {
      throw new QloraError({
        what: `is ${info.dtype}`,
        where: [source.label, name],
        fix: 'a checkpoint in f32, f16 or bf16 is needed, or one in 4 bits whose config.json says so',
      });
    }
    const { shape: actual } = info;
    if (actual.length !== shape.length || actual.some((length, i) => length !== shape[i])) {
      throw new QloraError({
        what: `has shape [${actual.join(', ')}], config.json asks for [${shape.join(', ')}]`,
        where: [source.label, name],
        fix: 'weights and config.json do not belong together',
      });
    }
  }
}
