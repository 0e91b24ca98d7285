// Writes the tiny models as model folders, and our GGUF file of each in each type: for tooling/conformance/llama-cpp/families.py.
// Arguments: a folder. Prints what was written, as JSON.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf, type Tensor } from '@qlora/tensor';
import { tinyGguf, tinyImatrix, tinyModels, tinyParts, tinyTensors } from './tiny-models';

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

const [out = 'tiny-models'] = process.argv.slice(2);
const written = [];
for (const model of tinyModels) {
  const folder = join(out, model.name);
  mkdirSync(folder, { recursive: true });
  const tensors = tinyTensors(model);
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
  writeFileSync(join(folder, 'model.safetensors'), safetensors(tensors));
  for (const type of model.types) {
    writeFileSync(join(out, `${model.name}-${type}.ours.gguf`), await tinyGguf(model, type));
  }
  const weighted = model.weighted ?? [];
  if (weighted.length > 0) writeFileSync(join(out, 'imatrix.gguf'), await tinyImatrix(model));
  for (const type of weighted) {
    const file = await tinyGguf(model, type, await tinyImatrix(model));
    writeFileSync(join(out, `${model.name}-${type}+imatrix.ours.gguf`), file);
  }
  const parts = model === tinyModels[0] ? await tinyParts(model, 'q8_0', 50_000) : [];
  for (const { name, bytes } of parts) writeFileSync(join(out, name), bytes);
  written.push({
    name: model.name,
    types: model.types,
    weighted,
    parts: parts.map((part) => part.name),
    pre: model.pre,
    isMultimodal: !!model.dropped,
  });
}
console.log(JSON.stringify(written));
