// Importance matrices, as llama.cpp's `llama-imatrix` writes them: how much each column of a weight matters, by the mean square
// of what it was multiplied with on some text. Two forms: GGUF files with sums and counts, and the older `.dat` files
// (imatrix-dat.ts). What comes out is what `llama-quantize` makes of either (tools/quantize/quantize.cpp, load_imatrix, and
// common/imatrix-loader.cpp; llama.cpp v0.5.0).
//
// Stricter than llama.cpp, which takes any numbers: an importance is finite and not negative, and a file says each thing once.
import { type ByteSource, printable, QloraError, type Shape } from '@qlora/tensor';
import { GGUF_MAGIC } from './container';
import { readDat } from './imatrix-dat';
import { checkMean, type Imatrix, type Refuse, refusals } from './imatrix-rules';
import { type GgufFile, type GgufTensorInfo, readGguf } from './reader';

/**
 * Reads an importance matrix of either form.
 *
 * Every refusal names a rule: those of {@link readGguf} for a file of that form, and {@link IMATRIX_RULES}.
 *
 * @throws QloraError with the rule that is broken and the place.
 */
export async function readImatrix(bytes: ByteSource): Promise<Imatrix> {
  const start = await bytes.read(0, Math.min(4, bytes.size));
  const isGguf =
    start.length === 4 && new DataView(start.buffer, start.byteOffset).getUint32(0, true) === GGUF_MAGIC;
  return isGguf ? fromGguf(await readGguf(bytes), bytes.label) : readDat(bytes);
}

/**
 * The importance of a tensor's columns for the encoders of `@qlora/ggml-blocks`, or undefined if the file has none: then a
 * tensor is encoded without.
 *
 * @param name of the tensor in GGUF files; @param shape outermost axis first. A tensor of three axes has an importance for
 *   each of its matrices, one after the other.
 * @throws QloraError (`imatrix/columns`) if the file is of another model: it has another number of columns for this tensor. As
 *   in llama.cpp, `token_embd.weight` alone is left without importance then.
 */
export function importanceOf(imatrix: Imatrix, name: string, shape: Shape): Float32Array | undefined {
  const importance = imatrix.entries.get(name);
  const needed = (shape.at(-1) ?? 1) * shape.slice(0, -2).reduce((product, size) => product * size, 1);
  if (importance === undefined || importance.length === needed) return importance;
  if (name === 'token_embd.weight') return undefined;
  throw new QloraError({
    what: `the importance matrix has ${importance.length} values, the tensor needs ${needed}`,
    where: name,
    fix: 'give the importance matrix of this model',
    rule: 'imatrix/columns',
  });
}

async function fromGguf(file: GgufFile, label: string): Promise<Imatrix> {
  const { metadata } = file;
  const refuse = refusals(label);
  const type = metadata.get('general.type')?.value;
  if (type !== undefined && type !== 'imatrix') {
    refuse(
      'type',
      `is a GGUF file of type ${printable(String(type))}`,
      'give a file that llama-imatrix wrote',
    );
  }
  // llama-quantize wants all three.
  const datasets = metadata.get('imatrix.datasets');
  const chunks = metadata.get('imatrix.chunk_count');
  const size = metadata.get('imatrix.chunk_size');
  if (
    datasets?.type !== 'array' ||
    datasets.items !== 'string' ||
    chunks?.type !== 'u32' ||
    size?.type !== 'u32'
  ) {
    const needed = 'imatrix.datasets, imatrix.chunk_count and imatrix.chunk_size are needed';
    return refuse('metadata', 'lacks what every importance matrix says of itself', needed);
  }
  const tensors = new Map(file.tensors.map((info) => [info.name, info]));
  const entries = new Map<string, Float32Array>();
  for (const { name } of file.tensors) {
    const owner = name.replace(/\.(in_sum2|counts)$/, '');
    if (owner === name) continue;
    const [sums, counts] = [tensors.get(`${owner}.in_sum2`), tensors.get(`${owner}.counts`)];
    if (!sums || !counts) refuse('pair', 'has sums without counts, or counts without sums', undefined, owner);
    else if (!entries.has(owner)) entries.set(owner, await means(file, owner, sums, counts, refuse));
  }
  if (entries.size === 0)
    refuse('empty', 'has no importance of any tensor', 'give a file that llama-imatrix wrote');
  return { format: 'gguf', entries, chunks: chunks.value, datasets: datasets.value.map(String) };
}

/** Sums divided by counts, matrix by matrix. One that was never used has the importance 1. */
async function means(
  file: GgufFile,
  owner: string,
  sums: GgufTensorInfo,
  counts: GgufTensorInfo,
  refuse: Refuse,
): Promise<Float32Array> {
  if (sums.typeId !== 0 || counts.typeId !== 0)
    refuse('type', 'has sums or counts that are not f32', undefined, owner);
  const values = (await file.read(sums.name)).data.slice();
  const times = (await file.read(counts.name)).data;
  const columns = values.length / times.length;
  if (times.length === 0 || values.length === 0 || !Number.isInteger(columns)) {
    refuse('shape', `has ${values.length} sums and ${times.length} counts`, undefined, owner);
  }
  for (let i = 0; i < values.length; i++) {
    const count = Math.floor(times[Math.floor(i / columns)]! + 0.5);
    if (!(count >= 0 && count < 2 ** 53)) refuse('count', `has the count ${count}`, undefined, owner);
    values[i] = count > 0 ? checkMean(values[i]! / Math.fround(count), i, owner, refuse) : 1;
  }
  return values;
}
