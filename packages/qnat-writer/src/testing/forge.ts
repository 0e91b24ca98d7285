// Files that lie as someone would make them who means harm: something is changed, then sizes and checksums are made right
// again, so that the change gets behind them.
import { crc32 } from '../header';

/** A directory. */
export type Json = { metadata: unknown; tensors: Record<string, unknown>[] };

/** What is done to a file before its checksums are made right again. */
export interface Change {
  /** Changes the parsed directory. */
  readonly directory?: (json: Json) => void;
  /** Changes the directory's text. */
  readonly text?: (text: string) => string;
  /** Changes the directory's bytes. */
  readonly raw?: (bytes: Uint8Array) => void;
  /** Changes the bytes behind the directory, padding included. */
  readonly data?: (bytes: Uint8Array) => Uint8Array | undefined;
  /** Changes the header. */
  readonly header?: (view: DataView) => void;
}

/** A file with changes, its sizes and checksums made right again. Its own must be right. */
export function forge(
  intact: Uint8Array,
  { directory, text, raw, data, header }: Change,
): Uint8Array<ArrayBuffer> {
  const old = new DataView(intact.buffer, intact.byteOffset, intact.byteLength);
  const oldSize = Number(old.getBigUint64(24, true));
  const json = JSON.parse(new TextDecoder().decode(intact.subarray(64, 64 + oldSize))) as Json;
  directory?.(json);
  const written = JSON.stringify(json);
  const bytes = new TextEncoder().encode(text?.(written) ?? written);
  raw?.(bytes);
  const dataStart = Math.ceil((64 + bytes.length) / 64) * 64;
  const tail = new Uint8Array(
    dataStart - 64 - bytes.length + intact.length - Number(old.getBigUint64(32, true)),
  );
  tail.set(intact.subarray(Number(old.getBigUint64(32, true))), dataStart - 64 - bytes.length);
  const changed = data?.(tail) ?? tail;
  const file = new Uint8Array(64 + bytes.length + changed.length);
  file.set(intact.subarray(0, 64));
  file.set(bytes, 64);
  file.set(changed, 64 + bytes.length);
  const view = new DataView(file.buffer);
  view.setBigUint64(24, BigInt(bytes.length), true);
  view.setBigUint64(32, BigInt(dataStart), true);
  view.setBigUint64(40, BigInt(file.length - dataStart), true);
  view.setUint32(52, crc32(bytes), true);
  header?.(view);
  view.setUint32(60, crc32(file.subarray(0, 60)), true);
  return file;
}
