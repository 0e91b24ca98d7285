// Opens whatever it is given, reads everything in it in every way, and watches what that asks for: the reads
// of the file, the sizes of the arrays that come back, and that nothing but a QloraError is thrown.
import { bytesSource, elementCount, elementSize, QloraError, type TensorSource } from '@qlora/tensor';
import { countingSource, ProbeFailure, refusalOf, ruleOf } from '@qlora-tooling/fuzz';
import { bitsandbytesSource, joinShards, openSafetensors, parseIndex } from '../index';

/** What opening and reading came to. */
export interface Probe {
  /** `accepted`, or the rule by which it was refused, without `safetensors/`. */
  readonly verdict: string;
  /** How many weights of bitsandbytes were read, or how they were refused. */
  readonly bitsandbytes: string;
  /** Bytes that were read of the file, counting a byte as often as it was read. */
  readonly bytesRead: number;
  /** The largest read. */
  readonly largestRead: number;
}

/**
 * Opens a safetensors file and reads it whole, in parts, and as bitsandbytes' weights.
 * @throws ProbeFailure if that does anything but succeed or refuse within bounds.
 */
export async function probeFile(file: Uint8Array): Promise<Probe> {
  const bytes = countingSource(file);
  const done = (verdict: string, bitsandbytes = 'not tried'): Probe => ({
    verdict,
    bitsandbytes,
    bytesRead: bytes.bytesRead,
    largestRead: bytes.largestRead,
  });
  let source: Awaited<ReturnType<typeof openSafetensors>>;
  try {
    source = await openSafetensors(bytes);
  } catch (error) {
    const rule = ruleOf(error, 'opening', 'safetensors/');
    if (bytes.bytesRead > file.length) throw new ProbeFailure(`opening read ${bytes.bytesRead} bytes`);
    return done(rule);
  }
  if (bytes.bytesRead > file.length) throw new ProbeFailure(`opening read ${bytes.bytesRead} bytes`);
  const total = await readAll(source);
  if (total > file.length) throw new ProbeFailure(`tensors of ${total} bytes came out of ${file.length}`);
  for (const name of source.unreadable.keys()) {
    const error = await source.read(name).catch((caught: unknown) => caught);
    if (!(error instanceof QloraError) || !error.message.includes('cannot be computed with'))
      throw new ProbeFailure(`${name} should be refused`, { cause: error });
  }
  return done('accepted', await probeBitsandbytes(source, file.length));
}

/** Reads each tensor of a source, whole and in part. Gives the bytes of all. */
async function readAll(source: TensorSource): Promise<number> {
  let total = 0;
  for (const { name, dtype, shape } of source.tensors) {
    const { data } = await source.read(name);
    const count = elementCount(shape);
    if (data.length !== count || data.byteLength !== count * elementSize(dtype))
      throw new ProbeFailure(`${name} came with ${data.length} values of ${count}`);
    total += data.byteLength;
    const half = await source.readRange?.(name, count >> 1, count - (count >> 1));
    if (half && half.data.length !== count - (count >> 1)) throw new ProbeFailure(`half of ${name} is wrong`);
  }
  return total;
}

/** Reads a source as bitsandbytes' weights. A decoded value takes 8 times as many bits as its code. */
async function probeBitsandbytes(source: TensorSource, size: number): Promise<string> {
  try {
    const weights = await bitsandbytesSource(source);
    for (const name of weights.quantized.keys()) {
      const { codes } = await weights.readQuantized(name);
      if (codes.byteLength > size) throw new ProbeFailure(`${name} has ${codes.byteLength} bytes of codes`);
      const { data } = await weights.read(name);
      if (data.byteLength > 8 * size)
        throw new ProbeFailure(`${name} has ${data.byteLength} bytes when decoded`);
    }
    return `${weights.quantized.size} weights`;
  } catch (error) {
    if (error instanceof ProbeFailure) throw error;
    return refusalOf(error, 'bitsandbytesSource').rule ?? 'no rule';
  }
}

/**
 * Reads an index and joins the files that it names, as far as they are among `shards`.
 * @returns `accepted` or the rule by which it was refused.
 */
export async function probeIndex(
  index: Uint8Array,
  shards: ReadonlyMap<string, Uint8Array>,
): Promise<string> {
  try {
    const map = parseIndex(index, 'index');
    const open = new Map<string, TensorSource>();
    for (const file of new Set(map.values())) {
      const bytes = shards.get(file);
      if (bytes) open.set(file, await openSafetensors(bytesSource(bytes, file)));
    }
    const source = joinShards('folder', open, map);
    const total = await readAll(source);
    const size = [...shards.values()].reduce((sum, { length }) => sum + length, 0);
    if (total > size) throw new ProbeFailure(`tensors of ${total} bytes came out of ${size}`);
    await source.close();
    return 'accepted';
  } catch (error) {
    if (error instanceof ProbeFailure) throw error;
    return refusalOf(error, 'the index').rule ?? 'no rule';
  }
}
