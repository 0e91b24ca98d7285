import { VALUE_TYPES } from '../index';
import {
  copyOf,
  type Forged,
  type ForgedEntry,
  type ForgedTensor,
  forged,
  forgedText,
  headerOf,
  takenApart,
  u32,
} from './forge';
import { tinyGguf } from './tiny-files';
import { type TinyModel, tinyModels } from './tiny-models';

/** Changes a file; what it gives, if anything, is taken in the place of the file. */
export type Edit = (file: Forged) => unknown;

const model = tinyModels[0] as TinyModel;
/** The file that all others are made of. */
export const intactFile = await tinyGguf(model, 'q8_0');
const intact = await takenApart(intactFile);

export const bytesAfter = (edit: Edit): Uint8Array => {
  const file = copyOf(intact);
  const given = edit(file);
  return given instanceof Uint8Array ? given : forged(file);
};

export const same = (bytes: Uint8Array, text: string) => new TextDecoder().decode(bytes) === text;
export const entryOf = (file: Forged, key: string) =>
  file.entries.find((entry) => same(entry.key.bytes, key)) as ForgedEntry;
export const tensorOf = (file: Forged, name: string) =>
  file.tensors.find((tensor) => same(tensor.name.bytes, name)) as ForgedTensor;

/** Other fields for an entry. */
export const entry =
  (key: string, change: (entry: ForgedEntry) => Partial<ForgedEntry>): Edit =>
  (file) => {
    const one = entryOf(file, key);
    Object.assign(one, change(one));
  };
/** Puts something in the place of an entry's type and value. */
export const value = (key: string, bytes: Uint8Array): Edit => entry(key, () => ({ value: bytes }));
/** Other fields for a tensor. */
export const tensor =
  (name: string, change: (tensor: ForgedTensor) => Partial<ForgedTensor>): Edit =>
  (file) => {
    const one = tensorOf(file, name);
    Object.assign(one, change(one));
  };
/** Changes the file's head. */
export const head =
  (fields: Partial<Forged>): Edit =>
  (file) =>
    void Object.assign(file, fields);
/** One entry more. */
export const more =
  (...entries: ForgedEntry[]): Edit =>
  (file) => {
    file.entries.push(...entries);
    file.metadataCount += BigInt(entries.length);
  };
/** One entry more, called `test.value`. */
export const extra = (bytes: Uint8Array): Edit => more({ key: forgedText('test.value'), value: bytes });
/** The file with an alignment said otherwise than as a valid number. */
export const alignment = (bytes: Uint8Array): Edit =>
  more({ key: forgedText('general.alignment'), value: bytes });
/** The lengths of a tensor, innermost first, of a type; its data stays. */
export const lengths = (name: string, sizes: readonly bigint[], type?: number): Edit =>
  tensor(name, (one) => ({ axes: sizes.length, lengths: [...sizes], type: type ?? one.type }));
/** The header without what follows, cut by some bytes. */
export const headerCut =
  (by: number): Edit =>
  (file) => {
    const header = headerOf(file);
    return header.subarray(0, header.length - by);
  };
/** Every number of the head in the other byte order, as a big-endian machine would write them. */
export const swapped: Edit = (file) => {
  const bytes = forged(file);
  bytes.subarray(4, 8).reverse();
  bytes.subarray(8, 16).reverse();
  bytes.subarray(16, 24).reverse();
  return bytes;
};

export const type = (name: keyof typeof VALUE_TYPES) => u32(VALUE_TYPES[name]);
export const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
export const magic = (text: string) => new DataView(latin1(text).buffer).getUint32(0, true);
export const empty = new Uint8Array(0);

export const NAME = 'general.name';
export const NORM = 'output_norm.weight';
export const WEIGHT = 'blk.0.attn_q.weight';
export const LAST = 'blk.1.attn_v.weight';
