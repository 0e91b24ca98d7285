// The goldens: files of the real libraries (tooling/conformance/safetensors/make_goldens.py).
import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('../goldens/real/', import.meta.url);

const read = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)));

/** Files of safetensors' own library. */
export const realFiles: ReadonlyMap<string, Uint8Array> = new Map(
  ['stories260K', 'every-dtype', 'bitsandbytes'].map((name) => [name, read(`${name}.safetensors`)]),
);

/** The folder of a checkpoint in several files, by huggingface_hub. */
export const shardedFolder = new URL('sharded/', folder);

/** Its index. */
export const realIndex = read('sharded/model.safetensors.index.json');

/** Its files, by name. */
export const realShards: ReadonlyMap<string, Uint8Array> = new Map(
  readdirSync(shardedFolder)
    .filter((name) => name.endsWith('.safetensors'))
    .map((name) => [name, read(`sharded/${name}`)]),
);

/** What the libraries read from these files: by file, then tensor, the bytes in hexadecimal. */
export const realValues: Readonly<Record<string, Readonly<Record<string, string>>>> = (
  JSON.parse(readFileSync(new URL('values.json', folder), 'utf8')) as {
    values: Record<string, Record<string, string>>;
  }
).values;
