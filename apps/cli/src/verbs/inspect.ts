// qlora inspect: what is in a file or folder.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { blockByteLength } from '@qlora/ggml-blocks';
import { type GgufScalar, type GgufValue, readGguf } from '@qlora/gguf-writer';
import { openQnat } from '@qlora/qnat-writer';
import type { QuantizedInfo } from '@qlora/quant-strategies';
import { bitsandbytesSource, readSafetensorsHeader } from '@qlora/safetensors';
import { openSafetensorsFolder } from '@qlora/safetensors/node';
import {
  type ByteSource,
  elementCount,
  elementSize,
  QloraError,
  type TensorInfo,
  type TensorSource,
} from '@qlora/tensor';
import { fileSource, ioError } from '@qlora/tensor/node';
import Table from 'cli-table3';
import { bytes, type Reporter } from '../reporter';

/** A row of the table. */
export interface InspectedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes in the file. */
  readonly bytes: number;
}

/** What was found. */
export interface Inspection {
  readonly format: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: readonly InspectedTensor[];
}

/** Lists tensors and metadata of a safetensors, GGUF or QNAT file, or of a model or adapter folder. */
export async function inspect(path: string, reporter: Reporter): Promise<Inspection> {
  const info = await stat(path).catch((cause) => {
    throw ioError(path, cause);
  });
  const inspection = info.isDirectory() ? await inspectFolder(path) : await inspectFile(path);
  reporter.event('inspected', { ...inspection });
  if (!reporter.json) print(inspection, reporter);
  return inspection;
}

async function inspectFolder(path: string): Promise<Inspection> {
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

async function inspectFile(path: string): Promise<Inspection> {
  const file = await fileSource(path);
  try {
    const magic = new TextDecoder('latin1').decode(await file.read(0, Math.min(4, file.size)));
    if (magic === 'GGUF') return await inspectGguf(file);
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

async function inspectGguf(file: ByteSource): Promise<Inspection> {
  const gguf = await readGguf(file);
  const metadata = Object.fromEntries([...gguf.metadata].map(([key, { value }]) => [key, plain(value)]));
  const tensors = gguf.tensors.map(({ name, shape, type, typeId }) => ({
    name,
    dtype: type?.name ?? `ggml type ${typeId}`,
    shape,
    bytes: type ? blockByteLength(type, elementCount(shape)) : 0,
  }));
  return { format: `GGUF version ${gguf.version}`, metadata, tensors };
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

function print({ format, metadata, tensors }: Inspection, reporter: Reporter): void {
  const total = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const parameters = tensors.reduce((sum, tensor) => sum + elementCount(tensor.shape), 0);
  reporter.say(
    `${format}: ${tensors.length} tensors, ${parameters.toLocaleString('en')} values, ${bytes(total)}`,
  );
  for (const [key, value] of Object.entries(metadata)) reporter.say(`  ${key} = ${short(value)}`);
  const table = new Table({
    head: ['tensor', 'dtype', 'shape', 'size'],
    style: { head: [], border: [] },
    colAligns: ['left', 'left', 'left', 'right'],
  });
  for (const { name, dtype, shape, bytes: size } of tensors)
    table.push([name, dtype, shape.join(' × '), bytes(size)]);
  reporter.say(table.toString());
}

function short(value: unknown): string {
  if (Array.isArray(value))
    return `[${value
      .slice(0, 4)
      .map((item) => JSON.stringify(item))
      .join(', ')}${value.length > 4 ? `, … ${value.length} in all` : ''}]`;
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 100 ? `${text.slice(0, 100)}… (${text.length} characters)` : text;
}
