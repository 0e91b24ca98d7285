// The other direction of `bitsandbytesSource`: quantized tensors taken apart into the plain tensors of a checkpoint, as
// a source over a source, so that writing a 4-bit checkpoint is the same loop as writing any other.
import type { QuantizedSource } from '@qlora/quant-strategies';
import { findTensor, flatRange, readRange, type Tensor, type TensorSource } from '@qlora/tensor';
import { bitsandbytesInfos, bitsandbytesTensors, stateName } from './bitsandbytes-tensors';

/**
 * The tensors of a bitsandbytes checkpoint for `source`. The parts of a weight come one after the other, and only the
 * weight that was read last is kept, so a loop in order quantizes each once.
 *
 * @returns the source, and the names whose length is known only when they are read (`SafetensorsOptions.late`).
 */
export function bitsandbytesView(source: QuantizedSource): {
  source: TensorSource;
  late: ReadonlySet<string>;
} {
  const owner = new Map<string, string>();
  const late = new Set<string>();
  const tensors = source.tensors.flatMap((info) => {
    const quantized = source.quantized.get(info.name);
    if (!quantized) return [info];
    const parts = bitsandbytesInfos(info.name, quantized);
    for (const part of parts) owner.set(part.name, info.name);
    late.add(stateName(info.name, quantized.scheme));
    return parts;
  });
  let last: { name: string; parts: Map<string, Tensor> } | undefined;
  const view: TensorSource = {
    label: source.label,
    metadata: source.metadata,
    tensors,
    async read(name) {
      const weight = owner.get(name);
      if (weight === undefined) return source.read(name);
      if (last?.name !== weight)
        last = { name: weight, parts: bitsandbytesTensors(weight, await source.readQuantized(weight)) };
      return last.parts.get(name) ?? (findTensor(view, name) as never);
    },
    async readRange(name, start, count) {
      if (!owner.has(name)) return readRange(source, name, start, count);
      return flatRange(await view.read(name), start, count);
    },
    close: () => source.close(),
  };
  return { source: view, late };
}
