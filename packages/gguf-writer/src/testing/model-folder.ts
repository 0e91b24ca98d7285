// A tiny model as the folder that Hugging Face's libraries load.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf, type Tensor } from '@qlora/tensor';
import { tinyTensors } from './tiny-files';
import type { TinyModel } from './tiny-models';

/** A safetensors file, without alignment. */
function safetensors(tensors: readonly [string, Tensor][]): Uint8Array {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    header[name] = { dtype: dtype.toUpperCase(), shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer);
  return Buffer.concat([length, text, ...tensors.map(([, { data }]) => bytesOf(data))]);
}

/** Writes config.json, the tokenizer's files and model.safetensors. */
export function writeModelFolder(folder: string, model: TinyModel): void {
  mkdirSync(folder, { recursive: true });
  const { tokenizer, config, sentencePiece, addedTokens, chatTemplate } = model.tokenizer;
  const files: [string, unknown][] = [
    ['config.json', model.config],
    ['tokenizer.json', tokenizer],
    ['tokenizer_config.json', config],
    ['added_tokens.json', addedTokens],
  ];
  for (const [name, value] of files) {
    if (value !== undefined) writeFileSync(join(folder, name), JSON.stringify(value));
  }
  if (sentencePiece) writeFileSync(join(folder, 'tokenizer.model'), sentencePiece);
  if (chatTemplate !== undefined) writeFileSync(join(folder, 'chat_template.jinja'), chatTemplate);
  writeFileSync(join(folder, 'model.safetensors'), safetensors(tinyTensors(model)));
}
