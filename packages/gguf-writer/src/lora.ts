// A LoRA adapter as a GGUF file that llama.cpp applies at run time (`--lora FILE`): what convert_lora_to_gguf.py writes, with the
// names and row orders of the families here.
import { blockTypeOf } from '@qlora/ggml-blocks';
import {
  type ByteSink,
  elementCount,
  requireFinite,
  type TensorSource,
  tensor,
  toFloat32,
} from '@qlora/tensor';
import type { LoraGgufAdapter } from './lora-contract';
import { type LoraPart, planLora } from './lora-plan';
import { permuteRows } from './permute';
import { f32Value, type GgufValue, text, u32 } from './value';
import { type GgufSink, type GgufTensorPlan, ggufSink } from './writer';

/** What was written. */
export interface LoraGgufExport {
  /** `adapter.lora.alpha`. llama.cpp scales B·A by alpha / rank. */
  readonly alpha: number;
  /** Modules whose scaling is another one: their B is multiplied by the factor, in f32. */
  readonly folded: readonly { readonly name: string; readonly factor: number }[];
  /** How many matrices are f16 because the blocks of `type` do not divide their rows. */
  readonly fallbacks: number;
  readonly tensors: number;
}

/**
 * Writes a LoRA adapter that llama.cpp adds to the base model's GGUF file when it runs: the same tensors, byte for byte, as its
 * convert_lora_to_gguf.py writes. One tensor is in memory at a time.
 *
 * The file has one alpha. It is the one that gives most modules their scaling, rank-stabilized ones too; what other modules are
 * scaled by is multiplied into their B.
 *
 * @throws QloraError for an architecture that is not known, modules that the model does not have or that llama.cpp cannot adapt
 * (either embedding of a model where both are one), shapes that do not fit, and values that are not finite or too large for the
 * type. Nothing is left under the final name then.
 * @example
 * const module = 'model.layers.0.self_attn.q_proj';
 * await exportLoraGguf(
 *   { source, modules: [{ name: module, a: 'A', b: 'B', scaling: 2 }], config, type: 'f16', name: 'pirate' },
 *   await fileSink('pirate.gguf'),
 * );
 */
export async function exportLoraGguf(adapter: LoraGgufAdapter, target: ByteSink): Promise<LoraGgufExport> {
  let sink: GgufSink | undefined;
  try {
    const { architecture, alpha, parts, folded } = planLora(adapter);
    const own = blockTypeOf(adapter.type);
    const tensors = parts.map(({ name, shape }): GgufTensorPlan => {
      const fits = shape[1] % own.blockSize === 0;
      return { name, shape, type: fits ? own : blockTypeOf('f16') };
    });
    const metadata = new Map<string, GgufValue>([
      ['general.architecture', text(architecture)],
      ['general.type', text('adapter')],
      ['adapter.type', text('lora')],
      ['general.name', text(adapter.name)],
      ['adapter.lora.alpha', f32Value(alpha)],
      // ggml/include/ggml.h, GGML_QNT_VERSION.
      ['general.quantization_version', u32(2)],
    ]);
    sink = await ggufSink(target, { metadata, tensors });
    for (const part of parts) {
      await sink.write(part.name, tensor('f32', part.shape, await readPart(adapter.source, part)));
    }
    await sink.finish();
    const fallbacks = tensors.filter(({ type }) => type !== own).length;
    return { alpha, folded, fallbacks, tensors: tensors.length };
  } catch (error) {
    await sink?.abort();
    await target.abort();
    throw error;
  }
}

/** Values of a matrix as the file has them. */
async function readPart(source: TensorSource, part: LoraPart): Promise<Float32Array> {
  const { from, factor, headDim, transposed, shape } = part;
  const read = await source.read(from.name);
  requireFinite(read, [source.label, from.name]);
  let values = toFloat32(read);
  if (factor !== 1) values = values.map((value) => value * factor);
  if (headDim !== undefined) values = permuteRows(values, shape[1], headDim);
  return transposed ? transpose(values, shape) : values;
}

/** Into [rows, columns], from [columns, rows]. */
function transpose(values: Float32Array, [rows, columns]: readonly [number, number]): Float32Array {
  const out = new Float32Array(elementCount([rows, columns]));
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) out[row * columns + column] = values[column * rows + row]!;
  }
  return out;
}
