// Writes the tiny models as model folders, and our GGUF file of each in each type: for tooling/conformance/llama-cpp/families.py.
// Arguments: a folder. Prints what was written, as JSON.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeModelFolder } from './model-folder';
import { tinyGguf, tinyImatrix, tinyParts } from './tiny-files';
import { tinyModels } from './tiny-models';

const [out = 'tiny-models'] = process.argv.slice(2);
const written = [];
for (const model of tinyModels) {
  writeModelFolder(join(out, model.name), model);
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
