// A model in several files, as llama.cpp splits them (tools/gguf-split of v0.5.0): `NAME-00001-of-00003.gguf`; all metadata is
// in the first, every file says which it is, and a tensor lies whole in one of them.
import { blockByteLength } from '@qlora/ggml-blocks';
import { type ByteSink, type ByteSource, elementCount, printable, QloraError } from '@qlora/tensor';
import { alignTo, GGUF_ALIGNMENT } from './container';
import { type GgufFile, readGguf } from './reader';
import type { GgufRule } from './rules';
import type { GgufValue } from './value';
import { type GgufContent, type GgufSink, type GgufTensorPlan, ggufSink } from './writer';

/** Which of several files. */
export interface GgufPart {
  /** From 0 on. */
  readonly index: number;
  readonly count: number;
}

/** Opens the file of a part; asked once a part, the first one first. */
export type OpenGgufPart = (part: GgufPart) => Promise<ByteSink>;

// Split numbers are u16 in the file, and five digits in its name.
const MAX_PARTS = 65535;

/**
 * The name of a part: `model.gguf` becomes `model-00001-of-00003.gguf`. A model of one part keeps its name.
 * @example
 * ggufPartName('model.gguf', { index: 0, count: 3 }); // model-00001-of-00003.gguf
 */
export function ggufPartName(path: string, { index, count }: GgufPart): string {
  if (count === 1) return path;
  const digits = (value: number) => String(value).padStart(5, '0');
  return `${path.replace(/\.gguf$/, '')}-${digits(index + 1)}-of-${digits(count)}.gguf`;
}

/**
 * Tensors by parts: as many as fit into `maxSize` bytes, padding counted and metadata not; one that is larger has a part of
 * its own.
 */
export function splitTensors(tensors: readonly GgufTensorPlan[], maxSize: number): GgufTensorPlan[][] {
  const parts: GgufTensorPlan[][] = [[]];
  let size = 0;
  for (const plan of tensors) {
    const bytes = alignTo(blockByteLength(plan.type, elementCount(plan.shape)), GGUF_ALIGNMENT);
    let part = parts.at(-1) as GgufTensorPlan[];
    if (size + bytes > maxSize && part.length > 0) {
      part = [];
      parts.push(part);
      size = 0;
    }
    part.push(plan);
    size += bytes;
  }
  return parts;
}

/**
 * Opens as many files as a model needs, and gives one sink for all of them. They get their names one after the other when it
 * is finished.
 * @param maxSize bytes of tensors in a file, at most.
 * @throws QloraError if that makes more files than llama.cpp can count; else as {@link ggufSink}.
 */
export async function splitSink(
  open: OpenGgufPart,
  content: GgufContent,
  maxSize: number,
): Promise<GgufSink> {
  const parts = splitTensors(content.tensors, maxSize);
  const count = parts.length;
  if (count > MAX_PARTS) {
    throw new QloraError({
      what: `${maxSize} bytes a file make ${count} files`,
      fix: `llama.cpp counts to ${MAX_PARTS}: take larger ones`,
    });
  }
  const total = content.tensors.length;
  const sinks: GgufSink[] = [];
  const abort = async () => {
    for (const sink of sinks) await sink.abort();
  };
  const owners = new Map<string, GgufSink>();
  try {
    for (const [index, tensors] of parts.entries()) {
      // A model that fits into one file is a plain one.
      const numbers: [string, GgufValue][] =
        count === 1
          ? []
          : [
              ['split.no', { type: 'u16', value: index }],
              ['split.count', { type: 'u16', value: count }],
              ['split.tensors.count', { type: 'i32', value: total }],
            ];
      const metadata = new Map([...(index === 0 ? content.metadata : []), ...numbers]);
      const bytes = await open({ index, count });
      try {
        sinks.push(await ggufSink(bytes, { metadata, tensors }));
      } catch (error) {
        await bytes.abort();
        throw error;
      }
      for (const { name } of tensors) owners.set(name, sinks.at(-1) as GgufSink);
    }
  } catch (error) {
    await abort();
    throw error;
  }
  const ownerOf = (name: string): GgufSink => {
    const sink = owners.get(name);
    if (sink) return sink;
    throw new QloraError({ what: 'was not announced', where: name });
  };
  return {
    write: (name, tensor) => ownerOf(name).write(name, tensor),
    writeBlocks: (name, start, blocks) => ownerOf(name).writeBlocks(name, start, blocks),
    async finish() {
      for (const sink of sinks) await sink.finish();
    },
    abort,
  };
}

/**
 * Reads a model that lies in several files, all of them given, in order. A single whole file is read as {@link readGguf} does.
 *
 * Beside that function's rules: `gguf/split-type` (a number of the split is not of the type that llama.cpp wants),
 * `gguf/split-number` (the files are not all the parts of one model, in order), `gguf/split-tensors` (they do not hold as many
 * tensors as they say), `gguf/duplicate-tensor`.
 */
export async function readGgufParts(parts: readonly ByteSource[]): Promise<GgufFile> {
  const files: GgufFile[] = [];
  for (const bytes of parts) files.push(await readGguf(bytes));
  const refuse = (rule: GgufRule, what: string, fix: string, where?: string): never => {
    throw new QloraError({ what, where, fix, rule: `gguf/${rule}` });
  };
  const [first] = files;
  if (!first) return refuse('split-number', 'no file was given', 'give every part');
  const total = files.reduce((sum, { tensors }) => sum + tensors.length, 0);
  const owners = new Map<string, GgufFile>();
  for (const [index, { metadata, tensors }] of files.entries()) {
    const label = parts[index]?.label ?? '';
    const number = (key: SplitKey): number | undefined => {
      const value = metadata.get(key);
      if (value === undefined) return undefined;
      if (value.type === splitTypes[key]) return value.value as number;
      return refuse('split-type', `is ${value.type}`, `${splitTypes[key]} is needed`, `${label}: ${key}`);
    };
    const no = number('split.no') ?? 0;
    const count = number('split.count') ?? 1;
    const said = number('split.tensors.count');
    if (no !== index || count !== files.length) {
      const what = `is part ${no + 1} of ${count}, part ${index + 1} of ${files.length} is expected`;
      refuse('split-number', what, 'give every part, in order', label);
    }
    if (said === undefined ? index === 0 && count > 1 : said !== total) {
      const what = `says that there are ${said ?? 'any number of'} tensors, the parts have ${total}`;
      refuse('split-tensors', what, 'the parts are not of one model', label);
    }
    for (const { name } of tensors) {
      if (owners.has(name)) {
        refuse('duplicate-tensor', 'is in two parts', 'one is needed', `${label}: ${printable(name)}`);
      }
      owners.set(name, files[index] as GgufFile);
    }
  }
  const ownerOf = (name: string): GgufFile => owners.get(name) ?? first;
  return {
    version: first.version,
    metadata: new Map([...first.metadata].filter(([key]) => !key.startsWith('split.'))),
    tensors: files.flatMap(({ tensors }) => tensors),
    readBytes: (name) => ownerOf(name).readBytes(name),
    read: (name) => ownerOf(name).read(name),
  };
}

/** Numbers of a split, and the types that llama.cpp takes for them (src/llama-model-loader.cpp). */
const splitTypes = { 'split.no': 'u16', 'split.count': 'u16', 'split.tensors.count': 'i32' } as const;
type SplitKey = keyof typeof splitTypes;
