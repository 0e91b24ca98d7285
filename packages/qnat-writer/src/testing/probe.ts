// Opens whatever it is given, reads everything in it in every way, and watches what that asks for: the reads of the file,
// the sizes of the arrays that come back, and that nothing but a QloraError with a rule is thrown.
import { bytesOf, elementCount, elementSize } from '@qlora/tensor';
import { countingSource, ProbeFailure, ruleOf } from '@qlora-tooling/fuzz';
import { openQnat } from '../reader';

/** What opening and reading came to. */
export interface Probe {
  /** `accepted`, or the rule by which it was refused, without `qnat/`. */
  readonly verdict: string;
  /** Bytes that came out of its tensors, decoded, as a multiple of its size. */
  readonly decoded: number;
}

/**
 * Opens a file and reads each tensor: whole, as it is stored, and in two parts.
 * @throws ProbeFailure if that does anything but succeed or refuse within bounds.
 */
export async function probeFile(file: Uint8Array): Promise<Probe> {
  const bytes = countingSource(file);
  let open: Awaited<ReturnType<typeof openQnat>>;
  try {
    open = await openQnat(bytes);
  } catch (error) {
    if (bytes.bytesRead > file.length + 64) throw new ProbeFailure(`opening read ${bytes.bytesRead} bytes`);
    return { verdict: ruleOf(error, 'opening', 'qnat/'), decoded: 0 };
  }
  if (bytes.bytesRead > file.length + 64) throw new ProbeFailure(`opening read ${bytes.bytesRead} bytes`);
  let decoded = 0;
  let verdict = 'accepted';
  for (const { name, dtype, shape } of open.tensors) {
    const count = elementCount(shape);
    const cut = Math.floor(count / 3);
    const outcome = async (read: () => Promise<Uint8Array>, doing: string) => {
      try {
        return await read();
      } catch (error) {
        return ruleOf(error, `${doing} ${name}`, 'qnat/');
      }
    };
    const parts = await outcome(async () => {
      const [a, b] = [await open.readRange(name, 0, cut), await open.readRange(name, cut, count - cut)];
      const both = new Uint8Array(a.data.byteLength + b.data.byteLength);
      both.set(bytesOf(a.data));
      both.set(bytesOf(b.data), a.data.byteLength);
      return both;
    }, 'reading parts of');
    const whole = await outcome(async () => bytesOf((await open.read(name)).data), 'reading');
    if (typeof whole === 'string') {
      if (parts !== whole) throw new ProbeFailure(`${name}: whole ${whole}, in parts ${parts.slice(0, 20)}`);
      verdict = whole;
      continue;
    }
    if (whole.length !== count * elementSize(dtype))
      throw new ProbeFailure(`${name} came with ${whole.length} bytes`);
    if (typeof parts === 'string' || !same(whole, parts))
      throw new ProbeFailure(`${name} differs when it is read in parts`);
    if (open.quantized.has(name)) {
      const stored = await open.readQuantized(name);
      if (stored.codes.length > file.length) throw new ProbeFailure(`${name} has too many codes`);
    }
    decoded += whole.length;
  }
  // A decoded value takes 8 times as many bits as its code.
  if (decoded > 8 * file.length) throw new ProbeFailure(`${decoded} bytes came out of ${file.length}`);
  return { verdict, decoded: decoded / Math.max(1, file.length) };
}

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i]);
