// qlora inspect: what is in a file or folder.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type GgufFile, type GgufScalar, type GgufValue, readGguf, readGgufParts } from '@qlora/gguf-writer';
import { openQnat } from '@qlora/qnat-writer';
import type { QuantizedInfo } from '@qlora/quant-strategies';
import { bitsandbytesSource, readSafetensorsHeader } from '@qlora/safetensors';
import { openSafetensorsFolder } from '@qlora/safetensors/node';
import {
  type ByteSource,
  elementCount,
  elementSize,
  printable,
  QloraError,
  type TensorInfo,
  type TensorSource,
} from '@qlora/tensor';
import { fileSource, ioError } from '@qlora/tensor/node';
import Table from 'cli-table3';
import { bytes, type Reporter, silentReporter } from '../reporter';

/** A row of the table. */
export interface InspectedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes in the file. */
  readonly bytes: number;
}

/** What all tensors of a type come to. */
export interface InspectedType {
  readonly dtype: string;
  readonly tensors: number;
  readonly values: number;
  readonly bytes: number;
}

/** What was found. */
export interface Inspection {
  readonly format: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: readonly InspectedTensor[];
  /** From the type that takes the most bytes to the one that takes the least. */
  readonly types: readonly InspectedType[];
}

type Found = Omit<Inspection, 'types'>;

/**
 * Lists tensors and metadata of a safetensors, GGUF or QNAT file, or of a model or adapter folder. Of a GGUF model in several
 * files, any of them stands for all.
 */
export async function inspect(path: string, reporter: Reporter): Promise<Inspection> {
  const info = await stat(path).catch((cause) => {
    throw ioError(path, cause);
  });
  const found = info.isDirectory() ? await inspectFolder(path) : await inspectFile(path, reporter);
  const inspection = { ...found, types: typesOf(found.tensors) };
  reporter.event('inspected', { ...inspection });
  if (!reporter.json) print(inspection, reporter);
  return inspection;
}

async function inspectFolder(path: string): Promise<Found> {
  const adapter = join(path, 'adapter_model.safetensors');
  if (await stat(adapter).catch(() => undefined))
    return { ...(await inspectFile(adapter)), format: 'PEFT adapter' };
  const source = await openSafetensorsFolder(path);
  try {
    const quantized = await bitsandbytesSource(source);
    const found = listTensors(quantized, quantized.quantized);
    const format = quantized.quantized.size > 0 ? 'bitsandbytes 4-bit checkpoint' : 'safetensors checkpoint';
    return { format, metadata: Object.fromEntries(source.metadata), tensors: found };
  } finally {
    await source.close();
  }
}

async function inspectFile(path: string, reporter = silentReporter): Promise<Found> {
  const file = await fileSource(path);
  try {
    const magic = new TextDecoder('latin1').decode(await file.read(0, Math.min(4, file.size)));
    if (magic === 'GGUF') return await inspectGguf(path, file, reporter);
    if (magic === 'QNAT') {
      const qnat = await openQnat(file);
      return {
        format: `QNAT version ${qnat.version}`,
        metadata: qnat.json,
        tensors: listTensors(qnat, qnat.quantized),
      };
    }
    if (!path.endsWith('.safetensors')) {
      throw new QloraError({
        what: 'is no GGUF, QNAT or safetensors file',
        where: path,
        fix: 'name one of those, or a model or adapter folder',
      });
    }
    const { entries, metadata } = await readSafetensorsHeader(file);
    const tensors = entries.map(({ name, dtype, shape, byteLength }) => ({
      name,
      dtype: dtype.toLowerCase(),
      shape,
      bytes: byteLength,
    }));
    return { format: 'safetensors', metadata: Object.fromEntries(metadata), tensors };
  } finally {
    await file.close();
  }
}

async function inspectGguf(path: string, file: ByteSource, reporter: Reporter): Promise<Found> {
  const one = await readGguf(file);
  const { paths, missing } = await partsOf(path, one);
  if (missing.length > 0) {
    const which = `is one of ${paths.length} files of a model`;
    reporter.warn(`${path}: ${which}; ${missing[0]} is not here. What follows is in this one alone.`);
  }
  if (paths.length === 1 || missing.length > 0) return ggufFound(one, '');
  const parts: ByteSource[] = [];
  try {
    for (const part of paths) parts.push(await fileSource(part));
    return ggufFound(await readGgufParts(parts), ` in ${parts.length} files`);
  } finally {
    for (const part of parts) await part.close();
  }
}

/** The files of the model that a file is of, by its metadata and its name, and those of them that are not there. */
async function partsOf(path: string, file: GgufFile): Promise<{ paths: string[]; missing: string[] }> {
  const count = file.metadata.get('split.count')?.value;
  const [, front, digits] = path.match(/^(.*)-\d{5}-of-(\d{5})\.gguf$/s) ?? [];
  if (typeof count !== 'number' || count < 2 || Number(digits) !== count)
    return { paths: [path], missing: [] };
  const paths = Array.from(
    { length: count },
    (_, i) => `${front}-${String(i + 1).padStart(5, '0')}-of-${digits}.gguf`,
  );
  const missing: string[] = [];
  for (const part of paths) if (!(await stat(part).catch(() => undefined))) missing.push(part);
  return { paths, missing };
}

function ggufFound(gguf: GgufFile, files: string): Found {
  const metadata = Object.fromEntries([...gguf.metadata].map(([key, { value }]) => [key, plain(value)]));
  const tensors = gguf.tensors.map(({ name, shape, layout, byteLength }) => ({
    name,
    dtype: layout.name,
    shape,
    bytes: byteLength,
  }));
  return { format: `GGUF version ${gguf.version}${files}`, metadata, tensors };
}

/** A value that JSON can hold: 64-bit integers as numbers where those are exact, else as their digits. */
function plain(value: GgufValue['value']): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  return Array.isArray(value) ? value.map((item: GgufScalar) => plain(item)) : value;
}

function listTensors(source: TensorSource, quantized: ReadonlyMap<string, QuantizedInfo>): InspectedTensor[] {
  return source.tensors.map((info: TensorInfo) => {
    const q = quantized.get(info.name);
    const count = elementCount(info.shape);
    if (!q)
      return {
        name: info.name,
        dtype: info.dtype,
        shape: info.shape,
        bytes: count * elementSize(info.dtype),
      };
    const blocks =
      q.strategy === 'per-channel' ? (q.shape[q.axis ?? 0] ?? 0) : Math.ceil(count / q.blockSize);
    const scaleBytes = q.doubleQuant ? blocks + 4 * Math.ceil(blocks / 256) + 4 : 4 * blocks;
    const zeroBytes = q.strategy === 'zero-point' ? 4 * blocks : 0;
    const dtype = `${q.scheme}/${q.blockSize}${q.doubleQuant ? ' double' : ''}${q.strategy === 'blockwise' ? '' : ` ${q.strategy}`}`;
    return {
      name: info.name,
      dtype,
      shape: info.shape,
      bytes: Math.ceil(count / 2) + scaleBytes + zeroBytes,
    };
  });
}

function typesOf(tensors: readonly InspectedTensor[]): InspectedType[] {
  const types = new Map<string, { dtype: string; tensors: number; values: number; bytes: number }>();
  for (const { dtype, shape, bytes: size } of tensors) {
    const type = types.get(dtype) ?? { dtype, tensors: 0, values: 0, bytes: 0 };
    type.tensors++;
    type.values += elementCount(shape);
    type.bytes += size;
    types.set(dtype, type);
  }
  return [...types.values()].sort((a, b) => b.bytes - a.bytes);
}

/** Bits a value, with what a block has beside its codes. */
const bitsOf = (size: number, values: number) => (values === 0 ? '' : ((8 * size) / values).toFixed(2));

function print({ format, metadata, tensors, types }: Inspection, reporter: Reporter): void {
  const total = types.reduce((sum, type) => sum + type.bytes, 0);
  const values = types.reduce((sum, type) => sum + type.values, 0);
  const bits = values === 0 ? '' : `, ${bitsOf(total, values)} bits a value`;
  reporter.say(
    `${format}: ${tensors.length} tensors, ${values.toLocaleString('en')} values, ${bytes(total)}${bits}`,
  );
  for (const [key, value] of Object.entries(metadata)) reporter.say(`  ${printable(key)} = ${short(value)}`);
  const style = { head: [], border: [] };
  const byType = new Table({
    head: ['dtype', 'tensors', 'values', 'size', 'of all', 'bits a value'],
    style,
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
  });
  for (const { dtype, tensors: count, values: those, bytes: size } of types) {
    const part = `${total === 0 ? 0 : ((100 * size) / total).toFixed(1)} %`;
    byType.push([dtype, count, those.toLocaleString('en'), bytes(size), part, bitsOf(size, those)]);
  }
  if (types.length > 0) reporter.say(byType.toString());
  const table = new Table({
    head: ['tensor', 'dtype', 'shape', 'size'],
    style,
    colAligns: ['left', 'left', 'left', 'right'],
  });
  for (const { name, dtype, shape, bytes: size } of tensors)
    table.push([printable(name), dtype, shape.join(' × '), bytes(size)]);
  reporter.say(table.toString());
}

function short(value: unknown): string {
  if (Array.isArray(value))
    return `[${value
      .slice(0, 4)
      .map((item) => short(item))
      .join(', ')}${value.length > 4 ? `, … ${value.length} in all` : ''}]`;
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 100 ? `${text.slice(0, 100)}… (${text.length} characters)` : text;
}
