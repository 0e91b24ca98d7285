// From a checkpoint's tensors to a GGUF file in one streaming pass.
import {
  type ByteSink,
  byteLength,
  type ConversionItem,
  elementCount,
  QloraError,
  type RunTask,
  runItems,
  type TensorSource,
} from '@qlora/tensor';
import { encodeTask } from './encode';
import { type ConfigJson, ConfigReader } from './families/config';
import { ggufFamilyOf } from './families/registry';
import { importanceOf } from './imatrix';
import type { Imatrix } from './imatrix-rules';
import { type ModelSource, modelSource } from './model-source';
import { applyRecipe, fileTypeOf, type GgufType, type TypedTensor } from './recipes';
import { sizeLabel } from './size-label';
import { type OpenGgufPart, splitSink } from './split';
import type { TokenizerFiles } from './tokenizer/files';
import { tokenizerMetadata } from './tokenizer/metadata';
import { type GgufValue, text, u32 } from './value';
import { type GgufContent, type GgufSink, ggufSink } from './writer';

/** A model to export. */
export interface GgufModel {
  /** Tensors under Hugging Face's names, in any float type, or in 4 bits: they are decoded as they are read. */
  readonly source: TensorSource;
  /** Parsed config.json. */
  readonly config: ConfigJson;
  readonly tokenizer: TokenizerFiles;
  /** Type of the matrices, or a mixed recipe; vectors stay f32. */
  readonly type: GgufType;
  /** `general.name`. */
  readonly name: string;
  /** How much each column of a weight matters, for the types that take it. */
  readonly importance?:
    | { readonly imatrix: Imatrix /** Named in the file. */; readonly file: string }
    | undefined;
  /** Name of llama.cpp's pre-tokenizer, for a byte-level tokenizer that is not recognized. */
  readonly preTokenizer?: string | undefined;
  /** How values are encoded: here, or on other threads. Default: here. */
  readonly run?: RunTask | undefined;
  /** Ranges of values that are in memory at a time. Default 3. */
  readonly slots?: number | undefined;
  /** Called as the work goes on: bytes that were read of the source, and tensors that are complete. */
  readonly onProgress?: (progress: ExportProgress) => void;
}

/** Where a model goes: one file, or as many as are needed. */
export type GgufTarget = ByteSink | { readonly open: OpenGgufPart; readonly maxSize: number };

/** How far an export is. */
export interface ExportProgress {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly tensors: number;
  readonly totalTensors: number;
}

/** What was written. */
export interface GgufExport {
  /** Tensors that could not take the type that they should have, and what they got. */
  readonly fallbacks: readonly { readonly name: string; readonly type: string; readonly reason: string }[];
  /** Where llama.cpp cannot do all that the tokenizer does, and what the importance matrix lacks: sentences for people. */
  readonly warnings: readonly string[];
  readonly tensors: number;
}

/**
 * Writes a GGUF file that llama.cpp loads: the same tensors, byte for byte, as its converter writes, and llama-quantize of its
 * f32 file for mixed recipes. Some millions of values are in memory at a time, whatever the size of the model.
 *
 * Matrices whose rows no block divides fall back to another type (see recipes.ts); norms and biases are always f32.
 *
 * @param target a file, or, for a model in several files, how to open each, and how many bytes of tensors one may hold.
 * @throws QloraError for an architecture that is not known, tensors that are not those of the config, values that are not
 * finite or too large for the type, and a tokenizer that llama.cpp has no form of. Nothing is left under the final name then.
 */
export async function exportGguf(model: GgufModel, target: GgufTarget): Promise<GgufExport> {
  let sink: GgufSink | undefined;
  try {
    const { content, source, typed, warnings } = describe(model);
    const items = typed.map((tensor) => exportItem(source, tensor, model.importance?.imatrix));
    sink =
      'open' in target
        ? await splitSink(target.open, content, target.maxSize)
        : await ggufSink(target, content);
    const totalBytes = items.reduce((sum, item) => sum + item.bytes, 0);
    await runItems(items, {
      sink,
      run: model.run,
      slots: model.slots,
      onProgress: ({ bytes, items: tensors }) =>
        model.onProgress?.({ bytes, totalBytes, tensors, totalTensors: items.length }),
    });
    await sink.finish();
    const fallbacks = typed.flatMap(({ name, type, fallback }) =>
      fallback === undefined ? [] : [{ name, type: type.name, reason: fallback }],
    );
    return { fallbacks, warnings, tensors: typed.length };
  } catch (error) {
    await sink?.abort();
    if (!('open' in target)) await target.abort();
    throw error;
  }
}

/** All that is known before a value is read. */
function describe(model: GgufModel) {
  const family = ggufFamilyOf(model.config);
  const config = new ConfigReader(model.config);
  const described = family.describe(config);
  const outer = config.flattened();
  const tokenizer = tokenizerMetadata(model.tokenizer, {
    vocabularySize: described.vocabularySize,
    idOf: (kind) => outer.id(`${kind}_token_id`),
    rules: described.tokenizer,
    preTokenizer: model.preTokenizer,
  });
  const source = modelSource(model.source, described);
  const typed = applyRecipe(source.tensors, model.type, {
    architecture: family.architecture,
    layers: described.layers,
    heads: described.heads,
    keyHeads: described.keyHeads,
    importance: model.importance !== undefined,
  });
  const parameters = source.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', text(family.architecture)],
    ['general.type', text('model')],
    ['general.name', text(model.name)],
    ['general.size_label', text(sizeLabel(parameters))],
    ...described.metadata,
    ['general.file_type', u32(fileTypeOf(model.type))],
    // ggml/include/ggml.h, GGML_QNT_VERSION.
    ['general.quantization_version', u32(2)],
    ...tokenizer.metadata,
    ...imatrixMetadata(model),
  ]);
  const content: GgufContent = { metadata, tensors: typed };
  const warnings = [...(described.warnings ?? []), ...tokenizer.warnings, ...missingImportance(model, typed)];
  return { content, source, typed, warnings };
}

/** What llama-quantize writes about the importance matrix (tools/quantize/quantize.cpp), cut at 127 bytes as there. */
function imatrixMetadata({ importance }: GgufModel): [string, GgufValue][] {
  if (!importance) return [];
  const { imatrix, file } = importance;
  const short = (value: string) =>
    text(new TextDecoder().decode(new TextEncoder().encode(value).slice(0, 127)));
  const [dataset] = imatrix.datasets;
  return [
    ['quantize.imatrix.file', short(file)],
    ...(dataset === undefined ? [] : [['quantize.imatrix.dataset', short(dataset)] as [string, GgufValue]]),
    ['quantize.imatrix.entries_count', u32(imatrix.entries.size)],
    ...(imatrix.chunks > 0
      ? [['quantize.imatrix.chunks_count', u32(imatrix.chunks)] as [string, GgufValue]]
      : []),
  ];
}

function missingImportance({ importance, type }: GgufModel, tensors: readonly TypedTensor[]): string[] {
  if (!importance) return [];
  if (!tensors.some(({ type: chosen }) => chosen.takesImportance)) {
    throw new QloraError({
      what: `no tensor of ${type} takes an importance matrix`,
      fix: 'leave it out, or take a type of fewer bits',
    });
  }
  const missing = tensors.filter(
    ({ name, type: chosen }) =>
      chosen.takesImportance && name !== 'token_embd.weight' && !importance.imatrix.entries.has(name),
  );
  return missing.length === 0
    ? []
    : [`the importance matrix has nothing of ${missing.length} tensors, ${missing[0]?.name} among them`];
}

/** A tensor's way into the file. */
function exportItem(
  source: ModelSource,
  { name, shape, type }: TypedTensor,
  imatrix: Imatrix | undefined,
): ConversionItem<GgufSink> {
  const info = source.tensors.find((candidate) => candidate.name === name);
  const elements = elementCount(shape);
  const importance = imatrix && type.takesImportance ? importanceOf(imatrix, name, shape) : undefined;
  return {
    name,
    outputs: [{ name, dtype: 'f32', shape }],
    elements,
    bytes: byteLength(info?.dtype ?? 'f32', shape),
    unit: source.unitOf(name),
    async convert(start, count, sink, run) {
      const values = await source.readRange(name, start, count);
      // A copy, because arrays belong to the task that they are given to.
      const own = importance?.slice();
      const blocks = await run(encodeTask, {
        values,
        type: type.name,
        where: [name],
        start,
        importance: own,
      });
      await sink.writeBlocks(name, start, blocks);
    },
  };
}
