// Safetensors files made by hand, honest or not.

/**
 * A file of a header and data.
 * @param header text, or bytes that are no text.
 * @param data that many bytes of data, or the bytes.
 * @param length what the first eight bytes say, if not the truth.
 */
export function forge(
  header: string | Uint8Array,
  data: number | Uint8Array = 0,
  length?: bigint,
): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = typeof data === 'number' ? Uint8Array.from({ length: data }, (_, i) => i) : data;
  const file = new Uint8Array(8 + text.length + bytes.length);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  file.set(text, 8);
  file.set(bytes, 8 + text.length);
  return file;
}

/** What an entry says, each as it is written in JSON. */
export interface ForgedEntry {
  readonly name?: string;
  readonly dtype?: string;
  readonly shape?: string;
  readonly offsets?: string;
  /** Appended to the fields. */
  readonly more?: string;
}

/** An entry's JSON: without changes, four bytes `U8` called `a`. */
export function entry({ name, dtype, shape, offsets, more }: ForgedEntry = {}): string {
  return `"${name ?? 'a'}":{"dtype":${dtype ?? '"U8"'},"shape":${shape ?? '[4]'},"data_offsets":${offsets ?? '[0,4]'}${more ?? ''}}`;
}

/** A file of entries and their data, four bytes unless something else is said. */
export function forgeEntries(
  entries: readonly (ForgedEntry | string)[],
  data: number | Uint8Array = 4,
): Uint8Array {
  return forge(`{${entries.map((item) => (typeof item === 'string' ? item : entry(item))).join(',')}}`, data);
}
